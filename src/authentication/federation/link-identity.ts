import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import { checkAlive } from "../../directory/check-alive.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { findUser, lookUpUserByVerifiedEmail } from "../../directory/users/find-user.ts";
import { canonicalEmail } from "../../directory/users/identifier.ts";
import { signUpUser } from "../../directory/users/sign-up.ts";
import { refuse } from "../../errors.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { deedOf, type Occasion } from "../occasion.ts";
import { type AuthenticatedSubject, subjectOf } from "../subject.ts";
import type { UpstreamClaims, UpstreamPerson } from "./federation.ts";
import { selectIdentity, upsertIdentity } from "./store.ts";

export interface UpstreamLogin extends Occasion, UpstreamPerson {
  readonly client: Client;
  readonly grant_id: string;
  /** Domains whose addresses this provider is trusted with. */
  readonly trusted_domains: readonly string[];
}

/**
 * The user behind a provider's login: the one linked to it, else the one who has verified an address here that the
 * provider verified and may speak for, else a new one where the client signs people up. A client logs in one type of
 * user: who is linked already and of another type is nobody to it.
 *
 * @throws 403 user_not_linked; 403 unauthorized_client when client, grant or user died meanwhile; for who is not linked
 *   yet, 400 upstream_login_failed when nobody knows their address, by which they might be somebody here.
 */
export async function linkIdentity(directory: Directory, login: UpstreamLogin): Promise<AuthenticatedSubject> {
  const { account, client, grant_id, claims, actor, now } = login;
  const { account_id } = account;
  const { storage } = directory;
  // An account's own people hold its scopes: a provider that some grant names must not decide who they are.
  if (client.settings.user_type === "account_user") throw refuse("user_not_linked");
  const identity = { account_id, issuer: claims.iss, subject: claims.sub };
  const email = trustedEmail(login);
  const authorization_id = randomUUID();
  const link = async (tx: Transaction) => {
    const linked = await selectIdentity(tx.db, identity);
    const live = linked && linked.type !== null ? linked : undefined;
    if (live && live.type !== client.settings.user_type) throw ofAnotherType();
    const user_id = live?.user_id ?? (await findOrCreate(tx, login, email));
    // What was done for this login is undone with it; the next attempt finds the other's.
    if (!live && !(await upsertIdentity(tx.db, identity, user_id, linked?.user_id, instant(now))))
      throw new LinkedMeanwhile();
    await checkAlive(tx.db, { account_id, client_id: client.id, grant_id, user_id });
    const facts = { client_id: client.id, bearer: actor, sid: authorization_id, issuer: claims.iss };
    await recordDeed(tx, deedOf({ ...login, actor: user_id }, { action: "auth.oidc_token", entity: user_id, facts }));
    return user_id;
  };
  const user_id = await storage.write(link).catch((error: unknown) => {
    if (error instanceof LinkedMeanwhile) return storage.write(link);
    throw error;
  });
  const user = await findUser(directory, account_id, user_id);
  const authenticated_at = authenticatedAt(claims, now);
  return subjectOf(user, { authenticated_at, amr: [], provider: claims.iss, authorization_id });
}

const ofAnotherType = () =>
  refuse("user_not_linked", {
    message: "This login of the external server is linked to a user of another type than the client logs in.",
    detail: "linked to a user of another type",
  });

/** In milliseconds: a provider says who is logged in there, perhaps for a long time (OpenID Connect Core §2, `auth_time`). */
const authenticatedAt = ({ auth_time }: UpstreamClaims, now: number) =>
  typeof auth_time === "number" ? Math.max(0, Math.min(Math.floor(auth_time * 1000), now)) : now;

/** Of two first logins of one person at once, the other has linked them. */
class LinkedMeanwhile extends Error {}

/** Verified by the provider, at a domain that it may speak for. */
function trustedEmail({ claims, trusted_domains }: UpstreamLogin): string | null {
  const canonical = typeof claims.email === "string" ? canonicalEmail(claims.email) : undefined;
  if (canonical === undefined || claims.email_verified !== true) return null;
  const domain = canonical.slice(canonical.lastIndexOf("@") + 1);
  return trusted_domains.some((trusted) => trusted.toLowerCase() === domain) ? canonical : null;
}

async function findOrCreate(tx: Transaction, login: UpstreamLogin, email: string | null): Promise<string> {
  const { account, client, claims, trusted_domains, untold, now } = login;
  // Where no address of this provider's joins anybody, nothing it might have said makes a difference.
  if (untold && trusted_domains.length > 0) throw untold;
  const { account_id, settings } = account;
  const type = client.settings.user_type;
  const known = email === null ? undefined : await lookUpUserByVerifiedEmail(tx.db, account_id, type, email);
  if (known) return known.id;
  if (!client.settings.signup) throw refuse("user_not_linked");
  const name = typeof claims.name === "string" ? claims.name.slice(0, 200) : null;
  const person = { account_id, type, email, phone_number: null, name, locale: settings.locale, now };
  return (await signUpUser(tx, person)).id;
}
