import { actorFrom } from "../../directory/actor.ts";
import { checkSecretStands } from "../../directory/clients/secret.ts";
import type { Directory } from "../../directory/directory.ts";
import { by_reuse, revoke } from "../../directory/revoke.ts";
import { refuse } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import type { AuthorizationCode } from "../authorization-code.ts";
import type { CodeRequest } from "./redeem-code.ts";
import { redeemStatement, selectRedeemed } from "./store.ts";

/** A redeemed code is remembered so long, to notice when it comes again; milliseconds. */
const MEMORY = 3_600_000;
/** A device that asks again before its next turn asks after an answer that was lost; milliseconds. */
const GRACE = 4_000;
const GONE = "The client, its secret, its grant, a user of its type or the login is gone.";

/**
 * Notes that the code was redeemed, once, while everybody concerned lives.
 *
 * @returns what the client's grant holds now: JSON, or null where none is needed.
 * @throws 400 invalid_grant; 401 invalid_client when the client's secret ended meanwhile.
 */
export async function spendCode(
  directory: Directory,
  content: AuthorizationCode,
  request: CodeRequest,
  now: number,
): Promise<string | null> {
  const { client } = request;
  const { sid, subject, grant_id = "", began_at = now } = content.authorization;
  const ids = {
    account_id: client.account_id,
    code_id: content.id,
    sid,
    client_id: client.id,
    secret_id: client.secret_id,
    grant_id,
    user_id: subject.id,
    user_type: client.settings.user_type,
  };
  const times = { began_at: instant(began_at), now: instant(now), expires_at: instant(now + MEMORY) };
  const { alive, redeemed, scope } = await directory.storage.hot(redeemStatement, { ...ids, ...times });
  if (!alive) await checkSecretStands(directory, client);
  if (!alive) throw refuse("invalid_grant", { message: GONE });
  if (redeemed) return scope;
  const before = request.polled && (await selectRedeemed(directory.storage.read, client.account_id, content.id));
  if (before && now - Date.parse(before) <= GRACE)
    throw refuse("invalid_grant", { message: "The device code was used before." });
  return endStolen(directory, content, request);
}

/** @throws 400 invalid_grant once everything that the code led to is revoked. */
export async function endStolen(
  directory: Directory,
  { authorization: { sid } }: AuthorizationCode,
  { client: { account_id, id }, facts }: CodeRequest,
): Promise<never> {
  await revoke(directory, { account_id, entity: sid, actor: actorFrom(id, facts), facts: by_reuse });
  throw refuse("invalid_grant", {
    message: "The authorization code was used before, or belongs to another client.",
  });
}
