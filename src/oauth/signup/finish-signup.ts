import { randomInt, randomUUID } from "node:crypto";
import { codeDigest, normaliseCode } from "../../authentication/codes/code.ts";
import { type Account, issuerOf } from "../../directory/accounts/account.ts";
import { createAccountIn } from "../../directory/accounts/create-account.ts";
import { createClientIn, type NamedClient } from "../../directory/clients/create-client.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { createGrantIn } from "../../directory/grants/change-grants.ts";
import type { Agreement } from "../../directory/users/account-user.ts";
import { createUserIn } from "../../directory/users/create-user.ts";
import { refuse } from "../../errors.ts";
import { spendBudget } from "../../limits/limits.ts";
import type { Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { readyKeys } from "../../tokens/keys/find-key.ts";
import { issueForPerson, type PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { checkOpen } from "./begin-signup.ts";
import type { Signup } from "./signup.ts";
import { selectCreated, selectSignup, updateCreated, updateVerified } from "./store.ts";

export interface NewTenant {
  readonly account_id: string;
  readonly email: string;
  /** Only of the answer that the code was spent for, where it asked to log in; with the client that they are for. */
  readonly login?: { readonly client_id: string; readonly tokens: PersonTokens };
}

/** What the first user of an account holds: all of it. */
const OWN_SCOPES = ["admin:accounts", "admin:customers"];

/** The client that they log in with. */
const OWN_CLIENT = {
  first_party: true,
  user_type: "account_user",
  token_endpoint_auth_method: "none",
  grant_types: ["authorization_code", "refresh_token"],
} satisfies NamedClient["settings"];

/**
 * The code came back: the account is made, once. All of it or, whatever fails meanwhile, nothing, and the code stays good.
 * Whoever repeats it while it lives is told which account it became, since they may have had no answer, and nothing else.
 *
 * @param log_in whether tokens are wanted.
 * @throws 400 invalid_verification_code; 403 access_denied where the owner does not allow it any more; 429; 503
 *   temporarily_unavailable when no account number was free.
 */
export async function finishSignup(
  oauth: Oauth,
  owner: Account,
  presented: Secret,
  log_in: boolean,
  actor: Actor,
): Promise<NewTenant> {
  checkOpen(owner);
  const { directory } = oauth;
  const signup = await findSignup(oauth, owner, presented, actor);
  const now = directory.storage.now();
  const opened = await directory.storage.write((tx) => openTenant(tx, directory, owner, signup, actor, now));
  const { email } = signup;
  if (typeof opened === "string") return { account_id: opened, email };
  const { account, user_id, ...login } = opened;
  const { account_id, settings } = account;
  // Before anybody asks; where it fails, who asks first has them made.
  void readyKeys(oauth.tokens, account_id, settings.signing_alg, now).catch(() => {});
  if (!log_in) return { account_id, email };
  const subject = {
    user_id,
    email,
    email_verified: true,
    authenticated_at: now,
    amr: ["otp"],
    second_factor: false,
    authorization_id: randomUUID(),
  };
  const tokens = await issueForPerson(oauth, { ...login, account, subject, holder_id: login.client.id }, now);
  return { account_id, email, login: { client_id: login.client.client_id, tokens } };
}

/**
 * What a sign-up opens, with the code that is spent for it: part of a transaction.
 *
 * @returns the id of the account where it is open already.
 */
async function openTenant(
  tx: Transaction,
  directory: Directory,
  owner: Account,
  signup: Signup,
  actor: Actor,
  now: number,
) {
  if (!(await updateVerified(tx.db, signup, instant(now)))) {
    const opened = await selectCreated(tx.db, signup, instant(now));
    if (!opened) throw refuse("invalid_verification_code");
    return opened;
  }
  const account = await openAccount(tx, owner, signup, actor, now);
  const { account_id } = account;
  await updateCreated(tx.db, signup, account_id);
  const named = { account_id, id: uuidv7(now), name: account.name, settings: OWN_CLIENT };
  const client = await createClientIn(tx, named, actor, now);
  const audience = issuerOf(directory.public_url, account_id);
  const scope = ["openid", "profile", "email", ...OWN_SCOPES];
  const grant = await createGrantIn(tx, directory, { client, audience, scope, type: "any" }, actor);
  const { name, agreement } = signup.applicant as { name?: string; agreement?: Agreement };
  const person = { type: "account_user", email: signup.email, name, agreement, verified: true } as const;
  const user_id = await createUserIn(tx, account_id, { ...person, scope: OWN_SCOPES }, actor, now);
  if (user_id === undefined) throw new Error("a new account had its first user already");
  return { account, client, grant, audience, user_id };
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
  const guess = { account_id, budget: "signup_guess", subject: actor.id } as const;
  await spendBudget(storage, guess, storage.now(), "too_many_attempts");
  throw refuse("invalid_verification_code");
}

const TRIES = 20;

/** Under a number of the owner's that is free. @throws 503 temporarily_unavailable when none was found. */
async function openAccount(
  tx: Transaction,
  owner: Account,
  signup: Signup,
  actor: Actor,
  now: number,
): Promise<Account> {
  const prefix = owner.account_id.slice(0, 4);
  const { business_name, name } = signup.applicant as { business_name?: string; name?: string };
  const { country, locale, signing_alg } = owner.settings;
  const fields = {
    name: business_name ?? name ?? signup.email,
    settings: { country, locale, signing_alg, applicant: signup.applicant },
  };
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const account_id = `${prefix}${String(randomInt(1, 100_000)).padStart(5, "0")}`;
    const account = await createAccountIn(tx, { account_id, ...fields }, actor, now);
    if (account) return account;
  }
  throw refuse("temporarily_unavailable", { detail: "no free account number was found", retry_after: 1 });
}
