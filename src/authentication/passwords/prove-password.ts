import { randomUUID } from "node:crypto";
import { recordDeed } from "../../audit/audit.ts";
import { checkAlive } from "../../directory/check-alive.ts";
import type { Directory } from "../../directory/directory.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { forgiveIn, type Guesser, giveBackGuess, orGiveBack, takeGuess } from "../guesses/guess.ts";
import { inLine } from "../guesses/in-line.ts";
import { asksForFactor } from "../mfa/factors.ts";
import { deedOf, type Occasion } from "../occasion.ts";
import { type AuthenticatedSubject, subjectOf } from "../subject.ts";
import { checkPassword, passwordStands } from "./password.ts";

export interface PasswordLogin extends Occasion {
  /** The client's uuid, and the grant that has to live. */
  readonly client_id: string;
  readonly grant_id: string;
  /** The user's uuid, or a name for somebody who is not known. */
  readonly person: string;
  readonly password: Secret;
  /** Whether a second factor will follow where one is asked of this person. */
  readonly asks_for_factor: boolean;
  /** Whether a PIN does as well before a second factor. */
  readonly pin: boolean;
  readonly source: string | null;
}

/**
 * A person shows their password, or their PIN where a second factor follows. Somebody who is not known costs the same, and
 * answers the same.
 *
 * @throws 400 invalid_grant; 429 too_many_attempts; 403 unauthorized_client when client, grant or user died meanwhile.
 */
export async function provePassword(directory: Directory, login: PasswordLogin): Promise<AuthenticatedSubject> {
  const { account, person, source } = login;
  const { account_id, settings } = account;
  const guesser = { account_id, person, source, limit: settings.factor_guess_limit };
  return inLine(guesser, () => compare(directory, login, guesser));
}

async function compare(directory: Directory, login: PasswordLogin, guesser: Guesser): Promise<AuthenticatedSubject> {
  const { account, client_id, grant_id, person, actor, now } = login;
  const { account_id } = guesser;
  const { storage } = directory;
  await takeGuess(directory, guesser, now);
  const user = await lookUpUser(directory, account_id, person);
  const follows =
    user !== undefined && login.asks_for_factor && asksForFactor(account, user.second_factor === 1, "pwd", user.type);
  const kinds = follows && login.pin ? (["password", "pin"] as const) : (["password"] as const);
  const comparing = checkPassword(storage, account_id, person, kinds, login.password);
  const shown = await comparing.catch(orGiveBack(directory, guesser));
  const wrong = () => refuse("invalid_grant", { message: "The user name or the password is wrong." });
  if (!user || !shown) {
    await noteRefused(directory, login);
    throw wrong();
  }
  const { kind } = shown;
  const authorization_id = randomUUID();
  const letting_in = storage.write(async (tx) => {
    await checkAlive(tx.db, { account_id, client_id, grant_id, user_id: user.id });
    if (!(await passwordStands(tx, { account_id, user_id: user.id }, shown))) throw wrong();
    await (follows ? giveBackGuess : forgiveIn)(tx, directory, guesser);
    const facts = { client_id, bearer: actor, sid: authorization_id, factor: kind };
    await recordDeed(tx, deedOf({ ...login, actor: user.id }, { action: "auth.token", entity: user.id, facts }));
  });
  // It was right when it was compared, so it was no guess.
  await letting_in.catch(orGiveBack(directory, guesser));
  const amr = [kind === "pin" ? "pin" : "pwd"];
  const { updated_at: password_set_at, set_over } = shown;
  const password_set_over = set_over ?? undefined;
  return subjectOf(user, { authenticated_at: now, amr, password_set_at, password_set_over, authorization_id });
}

async function noteRefused({ storage }: Directory, login: PasswordLogin): Promise<void> {
  const { client_id, person } = login;
  const refused = { action: "password.refused", outcome: "failure", entity: person, facts: { client_id } } as const;
  await storage.write((tx) => recordDeed(tx, deedOf(login, refused)));
}
