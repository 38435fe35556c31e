import { recordDeed } from "../../audit/audit.ts";
import type { Session } from "../../authentication/sessions/session.ts";
import type { Client } from "../../directory/clients/client.ts";
import { base64url, sha256 } from "../../secrets/digest.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { useStatement } from "../token/used-tokens.ts";
import type { AuthorizationParameters } from "./authorization-request.ts";

/** What a client may send once is remembered so long; milliseconds. */
const MEMORY = 86_400_000;

/**
 * A client that sends one code_challenge or nonce for everybody has lost what they protect (RFC 9700 §2.1.1). Nobody is refused for
 * it, but the audit trail says so. `now` in milliseconds.
 */
export async function noteValues(
  tx: Transaction,
  { account_id, id: client_id }: Client,
  { user_id }: Session,
  parameters: AuthorizationParameters,
  now: number,
): Promise<void> {
  const expires_at = instant(now + MEMORY);
  const sent = (["code_challenge", "nonce"] as const).filter((name) => parameters[name] !== undefined);
  const used = sent.map((name) => {
    const id = `${name} ${client_id} ${base64url(sha256(parameters[name] ?? ""))}`;
    return { account_id, id, expires_at };
  });
  const first = used.length === 0 ? [] : await tx.hot(useStatement, used);
  const repeated = sent.filter((_, index) => !first[index]);
  if (repeated.length === 0) return;
  const actor = { id: user_id, context: { repeated } };
  const deed = { account_id, action: "authorization.value_repeated", entity: client_id, now: instant(now), actor };
  await recordDeed(tx, deed);
}
