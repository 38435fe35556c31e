import { passwordStands } from "../../authentication/passwords/password.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { digestOf, type Family, refreshToken } from "./family.ts";
import { insertFamily } from "./store.ts";

/**
 * The first refresh token of a person's login. `now` in milliseconds.
 *
 * @throws 400 invalid_grant when the login was ended meanwhile, or that password is theirs no more.
 */
export async function beginFamily(
  { storage, master_keys, revocations }: Directory,
  { account_id, settings }: Account,
  client: Client,
  authorization: Authorization & Pick<AuthenticatedSubject, "password_set_at">,
  now: number,
): Promise<Secret> {
  const { password_set_at, sid, subject, client_uuid, grant_id = "", audience, scope } = authorization;
  if (subject.type !== "user") throw new Error("a refresh token belongs to a person");
  const begun = { account_id, id: sid, generation: 0, key_version: master_keys.current };
  const token = refreshToken(master_keys, begun);
  const family: Family = {
    ...begun,
    client_id: client_uuid,
    user_id: subject.id,
    grant_id,
    audience,
    scope,
    auth_time: subject.auth_time * 1000,
    amr: subject.amr,
    digest: digestOf(token),
    userinfo_claims: authorization.userinfo_claims ?? [],
    // Other clients show who they are at each use (RFC 9449 §5).
    dpop_jkt: client.settings.token_endpoint_auth_method === "none" ? (authorization.dpop_jkt ?? null) : null,
    created_at: instant(now),
    rotated_at: null,
    grace_used: 0,
    idle_expires_at: instant(now + settings.refresh_idle_lifetime * 1000),
    expires_at: instant(now + settings.refresh_lifetime * 1000),
    revoked_at: null,
  };
  await storage.write(async (tx) => {
    if (!(await revocations.stands(tx, { account_id, subject: `sid:${sid}` }))) throw ended("The login was revoked.");
    const person = { account_id, user_id: subject.id };
    if (password_set_at !== undefined && !(await passwordStands(tx, storage.engine, person, password_set_at)))
      throw ended("The password has been changed.");
    await insertFamily(tx.db, family);
  });
  return token;
}

const ended = (message: string) => refuse("invalid_grant", { message });
