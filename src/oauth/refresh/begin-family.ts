import { passwordStands, type ShownPassword, shownPassword } from "../../authentication/passwords/password.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { holdLogin } from "../../directory/users/logins-ended.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { beginStatement, type NewFamily } from "./begin-statement.ts";
import { boundTo, digestOf, type Family, refreshToken } from "./family.ts";

/** What a login came of; `session_id` and `surface` as in Family. */
type Begun = Authorization &
  Pick<AuthenticatedSubject, "password_set_at" | "provider"> & {
    readonly session_id?: string;
    readonly surface: NonNullable<Family["surface"]>;
  };

/**
 * The first refresh token of a person's login at a client, for its holder (a client's uuid). `now` in milliseconds: when
 * the request came.
 *
 * @throws 400 invalid_grant when the login was ended meanwhile, or that password is theirs no more.
 */
export async function beginFamily(
  { storage, master_keys }: Directory,
  { account_id, settings }: Account,
  client: Client,
  authorization: Begun,
  holder_id: string,
  now: number,
): Promise<Secret> {
  const { password_set_at, sid, subject, client_uuid, grant_id = "", audience, scope, began_at = now } = authorization;
  if (subject.type !== "user") throw new Error("a refresh token belongs to a person");
  const first = { account_id, id: sid, generation: 0, key_version: master_keys.current };
  const token = refreshToken(master_keys, first);
  const family: NewFamily = {
    ...first,
    client_id: client_uuid,
    holder_id: holder_id === client_uuid ? null : holder_id,
    user_id: subject.id,
    grant_id,
    audience,
    scope: JSON.stringify(scope),
    auth_time: subject.auth_time * 1000,
    amr: JSON.stringify(subject.amr),
    digest: digestOf(token),
    userinfo_claims: JSON.stringify(authorization.userinfo_claims ?? []),
    dpop_jkt: boundTo(client, authorization.dpop_jkt),
    session_id: authorization.session_id ?? null,
    surface: authorization.surface,
    provider: authorization.provider ?? null,
    created_at: instant(began_at),
    idle_expires_at: instant(now + settings.refresh_idle_lifetime * 1000),
    expires_at: instant(now + settings.refresh_lifetime * 1000),
  };
  const password = shownPassword(subject.amr, password_set_at);
  const begun = password
    ? await storage.write((tx) => beginUnderPassword(tx, family, password))
    : await storage.hot(beginStatement, family);
  if (!begun) throw ended("The login was revoked.");
  return token;
}

/**
 * The person is held before the password, in the order of whoever changes either.
 *
 * @throws 400 invalid_grant where the password that was shown is theirs no more.
 */
async function beginUnderPassword(tx: Transaction, family: NewFamily, shown: ShownPassword) {
  if (!(await holdLogin(tx, family, family.created_at))) return false;
  if (!(await passwordStands(tx, family, shown))) throw ended("The password has been changed.");
  const [begun] = await tx.hot(beginStatement, [family]);
  return begun;
}

const ended = (message: string) => refuse("invalid_grant", { message });
