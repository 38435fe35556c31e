import type { FastifyRequest } from "fastify";
import { requestedLanguage } from "../authentication/messages/requested-language.ts";
import type { Occasion } from "../authentication/occasion.ts";
import { findAccount } from "../directory/accounts/find-account.ts";
import type { Client } from "../directory/clients/client.ts";
import { sourceOf } from "../directory/clients/end-user-source.ts";
import type { Directory } from "../directory/directory.ts";
import type { Bearer } from "../http/contract.ts";
import { factsOf } from "../http/facts.ts";

/** Who asks for something in a person's name, from where. */
export interface Caller extends Occasion {
  readonly bearer: Bearer;
  /** Where the end user is, for this client; null where nobody knows. */
  readonly source: (client: Client) => string | null;
  /** BCP 47; the language of messages that the request asks for. */
  readonly locale: () => string | undefined;
}

/** Of a request whose bearer is known. */
export async function callerOf(directory: Directory, request: FastifyRequest, bearer: Bearer): Promise<Caller> {
  const { headers, ip } = request;
  const account = await findAccount(directory, bearer.account_id);
  const end_user_ip = headers["end-user-ip"] as string | undefined;
  const source = (client: Client) => sourceOf(bearer, client, end_user_ip, ip);
  const locale = () => requestedLanguage(headers["accept-language"]);
  const facts = factsOf(request);
  return { account, actor: bearer.subject, facts, now: directory.storage.now(), bearer, source, locale };
}
