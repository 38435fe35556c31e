import { randomInt, randomUUID } from "node:crypto";
import { codeDigest, normaliseCode } from "../../authentication/verification/code.ts";
import { type Account, isOwner, issuerOf } from "../../directory/accounts/account.ts";
import { createAccount } from "../../directory/accounts/create-account.ts";
import { createClient } from "../../directory/clients/create-client.ts";
import type { Actor } from "../../directory/directory.ts";
import { createGrant } from "../../directory/grants/change-grants.ts";
import type { AccountUser, Agreement } from "../../directory/users/account-user.ts";
import { createUser } from "../../directory/users/create-user.ts";
import { findAccountUser } from "../../directory/users/find-account-user.ts";
import { Refusal, refuse } from "../../errors.ts";
import { takeBudget } from "../../limits/limits.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { issueForPerson, type PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { checkOpen } from "./begin-signup.ts";
import type { Signup } from "./signup.ts";
import { selectSignup, updateCreated, updateVerified } from "./store.ts";

export interface NewTenant {
  readonly account: Account;
  readonly user: AccountUser;
  readonly tokens: PersonTokens;
}

/** What the first user of an account holds: all of it. */
const OWN_SCOPES = ["admin:accounts", "admin:customers"];

/**
 * The code came back: the account is made, once.
 *
 * @throws 400 invalid_verification_code; 403 access_denied where the owner does not allow it any more; 429.
 */
export async function finishSignup(oauth: Oauth, owner: Account, presented: Secret, actor: Actor): Promise<NewTenant> {
  checkOpen(owner);
  const { directory } = oauth;
  const { storage } = directory;
  const signup = await findSignup(oauth, owner, presented, actor);
  const now = storage.now();
  if (!(await storage.write((tx) => updateVerified(tx.db, signup, instant(now)))))
    throw refuse("invalid_verification_code");
  const account = await openAccount(oauth, owner, signup, actor);
  await storage.write((tx) => updateCreated(tx.db, signup, account.account_id));
  const settings = {
    first_party: true,
    user_type: "account_user",
    token_endpoint_auth_method: "none",
    grant_types: ["authorization_code", "refresh_token"],
  } as const;
  const input = { name: account.name, settings: { ...settings, grant_types: [...settings.grant_types] } };
  const { client } = await createClient(directory, account.account_id, input, actor);
  const audience = issuerOf(directory.public_url, account.account_id);
  const scope = ["openid", "profile", "email", ...OWN_SCOPES];
  const grant = await createGrant(directory, { client, audience, scope, type: "any" }, actor);
  const { name, agreement } = signup.applicant as { name?: string; agreement?: Agreement };
  const person = { type: "account_user", email: signup.email, name, agreement, verified: true } as const;
  const { id } = await createUser(directory, account, { ...person, scope: OWN_SCOPES }, actor);
  const subject = {
    user_id: id,
    email: signup.email,
    email_verified: true,
    authenticated_at: now,
    amr: ["otp"],
    second_factor: false,
    authorization_id: randomUUID(),
  };
  const tokens = await issueForPerson(oauth, { account, client, grant, audience, subject, refresh: true }, now);
  return { account, user: await findAccountUser(directory, account.account_id, id), tokens };
}

async function findSignup(
  { directory }: Oauth,
  { account_id }: Account,
  presented: Secret,
  actor: Actor,
): Promise<Signup> {
  const { storage, master_keys } = directory;
  const { kind, code } = normaliseCode(presented);
  const binding = { account_id, client_id: "", audience: "", person: "" };
  const digests = master_keys.versions.map((version) => codeDigest(master_keys, version, binding, "typable", code));
  const signup = kind === "typable" ? await selectSignup(storage.read, account_id, digests) : undefined;
  if (signup) return signup;
  const taken = await takeBudget(storage, { account_id, budget: "signup_guess", subject: actor.id }, storage.now());
  if (!taken.allowed) throw refuse("too_many_attempts", { retry_after: taken.retry_after });
  throw refuse("invalid_verification_code");
}

const TRIES = 20;

/** Under a number of the owner's that is free. */
async function openAccount({ directory }: Oauth, owner: Account, signup: Signup, actor: Actor): Promise<Account> {
  const prefix = owner.account_id.slice(0, 4);
  const { business_name, name } = signup.applicant as { business_name?: string; name?: string };
  const { country, locale, signing_alg } = owner.settings;
  const fields = {
    name: business_name ?? name ?? signup.email,
    settings: { country, locale, signing_alg, applicant: signup.applicant },
  };
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const account_id = `${prefix}${String(randomInt(1, 100_000)).padStart(5, "0")}`;
    if (isOwner(account_id)) continue;
    try {
      return await createAccount(directory, { account_id, ...fields }, actor);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
  throw refuse("temporarily_unavailable", { detail: "no free account number was found", retry_after: 1 });
}
