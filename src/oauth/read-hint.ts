import { issuerOf } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import { lookUpClient } from "../directory/clients/find-client.ts";
import { sectorOf } from "../directory/clients/sector.ts";
import { sessionOfPairwise, userOfPairwise } from "../tokens/pairwise.ts";
import { type ReadIdToken, readIdToken } from "../tokens/read-id-token.ts";
import type { Oauth } from "./oauth.ts";

export interface Hint extends ReadIdToken {
  /** The user behind `sub`. */
  readonly user_id: string;
  /** The session's id, whatever the client calls it. */
  readonly sid?: string;
}

/** Whom an ID token of ours means, however old it is. @returns as readIdToken. */
export async function readHint(
  { directory, tokens }: Pick<Oauth, "directory" | "tokens">,
  account_id: string,
  id_token: string,
): Promise<Hint | "key_gone" | undefined> {
  const read = await readIdToken(tokens, issuerOf(directory.public_url, account_id), account_id, id_token);
  if (!read || read === "key_gone") return read;
  const client = read.azp === undefined ? undefined : await lookUpClient(directory, account_id, read.azp);
  const { sub, sid } = read;
  const sector = client && sectorOf(client);
  const session =
    sector === undefined || sid === undefined || UUID.test(sid)
      ? sid
      : await sessionOfPairwise(tokens, account_id, sector, sid);
  // One of a time in which the client was told ids as they are.
  const user_id = UUID.test(sub) ? sub : await userOfSub({ tokens }, account_id, client, sub);
  return { ...read, user_id, ...(session === undefined ? {} : { sid: session }) };
}

const NOBODY = "";
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whom a client means by a `sub`; one whose subjects are pairwise means nobody by an id as it is, which it was never told. */
export async function userOfSub(
  { tokens }: Pick<Oauth, "tokens">,
  account_id: string,
  client: Client | undefined,
  sub: string,
): Promise<string> {
  const sector = client && sectorOf(client);
  if (sector === undefined) return sub;
  return (await userOfPairwise(tokens, account_id, sector, sub)) ?? NOBODY;
}
