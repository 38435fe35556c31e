import { recordDeed } from "../../audit/audit.ts";
import { forgetGuesses, giveBackOfSource, takeOfSource } from "../../authentication/guesses/guess.ts";
import { tellOfChange } from "../../authentication/messages/tell-of-change.ts";
import { asksForFactor, factorsOf } from "../../authentication/mfa/factors.ts";
import { deedOf, occasionOf } from "../../authentication/occasion.ts";
import {
  checkNewPassword,
  deletePassword,
  hashPassword,
  storePassword,
} from "../../authentication/passwords/password.ts";
import { redeemCode } from "../../authentication/verification/redeem.ts";
import { sendCode } from "../../authentication/verification/send.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findConnection } from "../../directory/connections/connection.ts";
import { holdPerson } from "../../directory/users/hold-user.ts";
import { holdLogin } from "../../directory/users/logins-ended.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { endLoginsOf } from "../refresh/end-logins.ts";
import type { CustomerRequest, NamedCustomer } from "./customer.ts";

const purpose = "password_reset" as const;

/**
 * Whoever has no account has no password that could be lost, so nobody is signed up by it; and a link would lead to a page that
 * logs in, which this code does not.
 */
const forResets = (client: Client): Client => ({
  ...client,
  settings: { ...client.settings, login_uri: null, signup: false },
});

/**
 * Mails a code with which a new password may be chosen; known and unknown people cannot be told apart.
 *
 * @throws 429 too_many_requests.
 */
export async function offerReset(oauth: Oauth, { client }: NamedCustomer, request: CustomerRequest): Promise<void> {
  const { caller, ident: email, audience } = request;
  const { bearer } = caller;
  const source = caller.source(client);
  const { user_type } = client.settings;
  const connection = await findConnection(oauth.directory, client, "email");
  const about = { client: forResets(client), audience, purpose, connection, email, user_type, source };
  const own = bearer.scope.includes("admin:accounts") ? bearer.subject : null;
  await sendCode(oauth, { ...occasionOf(caller), ...about, own, locale: caller.locale() });
}

/**
 * Sets the password of whoever holds the code that was mailed for it (one for logging in, which may have gone by SMS,
 * is none), which is no second factor beside it, in place of the PIN as well. Their logins end, and so does what wrong
 * guesses at the one before closed, where no second factor is asked for behind it.
 *
 * @throws what redeeming a code does; 400 invalid_request for a password that is too short, 429 too_many_attempts where
 * its source showed too many wrong codes, 503 where it cannot be hashed now, all before the code is spent; 403 access_denied
 * where that mailbox is the person's only second factor.
 */
export async function resetPassword(
  oauth: Oauth,
  { client, grant }: NamedCustomer,
  { caller, ident, audience }: CustomerRequest,
  verification_code: Secret,
  password: Secret,
): Promise<void> {
  const { directory } = oauth;
  const { account, now } = caller;
  const { account_id } = account;
  checkNewPassword(password, "password", "password");
  // Hashing costs as much for a code that was made up as for one that is right.
  const from = { account_id, source: caller.source(client) };
  await takeOfSource(directory, from, now);
  // Where it cannot be given back it counts, and the code still sets the password.
  const giveBack = () => directory.storage.write((tx) => giveBackOfSource(tx, directory, from)).catch(() => {});
  // There may be no room for it: then the code is still good.
  const hash = await hashPassword(account_id, password).catch(async (error: unknown) => {
    await giveBack();
    throw error;
  });
  const hashed = { kind: "password", hash, set_over: "email" } as const;
  const { user_id, second_factor } = await redeemCode(oauth, {
    ...occasionOf(caller),
    client: forResets(client),
    grant_id: grant.id,
    audience,
    purpose,
    verification_code,
    connection: "email",
    ident_type: "email",
    ident,
  });
  await giveBack();
  const shown = { user_id, password_set_over: hashed.set_over };
  if (second_factor && (await factorsOf(directory, account, shown, "pwd")).length === 0) {
    throw refuse("access_denied", {
      message: "This person's only second factor is this mailbox: another password has to come from who may set it.",
    });
  }
  await directory.storage.write(async (tx) => {
    // The person before the password, in the order of whoever changes either.
    await holdPerson(tx, account_id, user_id);
    // Whoever left that mailbox since the code was spent has nothing set out of it any more.
    if (!(await holdLogin(tx, { account_id, user_id }, instant(now)))) throw refuse("invalid_verification_code");
    // The PIN goes as well: whoever knows it is to begin no login by it.
    await deletePassword(tx, account_id, user_id);
    const set_at = directory.storage.now();
    await storePassword(tx, account_id, user_id, hashed, set_at);
    // A mailbox alone gives back no guesses at what else a login takes.
    const { user_type } = client.settings;
    if (!asksForFactor(account, second_factor, "pwd", user_type)) await forgetGuesses(tx, { account_id, user_id });
    await tellOfChange(tx, account, user_id, ["password_changed"], set_at);
    await recordDeed(tx, deedOf({ ...caller, actor: user_id }, { action: "password.changed", entity: user_id }));
    await endLoginsOf(tx, directory, { account_id, user_id });
  });
}
