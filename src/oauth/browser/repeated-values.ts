import { recordDeed } from "../../audit/audit.ts";
import type { Session } from "../../authentication/sessions/session.ts";
import { useStatement } from "../../authentication/used-tokens.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { base64url, sha256 } from "../../secrets/digest.ts";
import { instant } from "../../storage/storage.ts";
import type { AuthorizationParameters } from "./authorization-request.ts";

/** What a client may send once is remembered so long; milliseconds. */
const MEMORY = 86_400_000;

/**
 * A client that sends one code_challenge or nonce for everybody has lost what they protect (RFC 9700 §2.1.1). Nobody is
 * refused for it, but the audit trail says so.
 */
export async function noteValues(
  { storage }: Directory,
  { account_id, id: client_id }: Client,
  { user_id }: Session,
  parameters: AuthorizationParameters,
): Promise<void> {
  const now = storage.now();
  const expires_at = instant(now + MEMORY);
  const sent = (["code_challenge", "nonce"] as const).filter((name) => parameters[name] !== undefined);
  const first = await Promise.all(
    sent.map((name) => {
      const id = `${name} ${client_id} ${base64url(sha256(parameters[name] ?? ""))}`;
      return storage.hot(useStatement, { account_id, id, expires_at });
    }),
  );
  const repeated = sent.filter((_, index) => !first[index]);
  if (repeated.length === 0) return;
  const actor = { id: user_id, context: { repeated } };
  const deed = { account_id, action: "authorization.value_repeated", entity: client_id, now: instant(now), actor };
  await storage.write((tx) => recordDeed(tx, deed));
}
