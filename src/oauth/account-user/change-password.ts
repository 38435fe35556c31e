import { recordDeed } from "../../audit/audit.ts";
import { forgetGuesses, forgiveIn, type Guesser, orGiveBack, takeGuess } from "../../authentication/guesses/guess.ts";
import { inLine } from "../../authentication/guesses/in-line.ts";
import { tellOfChange } from "../../authentication/messages/tell-of-change.ts";
import {
  checkNewPassword,
  checkPassword,
  hashPassword,
  passwordStands,
  type ShownPassword,
  setSince,
  storePassword,
} from "../../authentication/passwords/password.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { holdByLogin, type LoginAtHand } from "../../directory/users/logins-ended.ts";
import { refuse, refuseField } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { endLoginsOf } from "../refresh/end-logins.ts";

export interface PasswordChange {
  readonly user_id: string;
  /** Goes on. */
  readonly login: LoginAtHand;
  /** That login showed two factors, and no password: it may have been forgotten. */
  readonly recovered: boolean;
  readonly previous: Secret | undefined;
  readonly proposed: Secret;
}

/**
 * Sets a person's password once they have shown the one before, where there is one, or two other factors. Their other
 * logins end.
 *
 * @throws 400 invalid_request; 400 invalid_grant for a wrong previous password; 429 too_many_attempts.
 */
export async function changePassword(
  directory: Directory,
  account: Account,
  change: PasswordChange,
  actor: Actor,
): Promise<void> {
  const { account_id, settings } = account;
  const { user_id, recovered, previous, proposed } = change;
  checkNewPassword(proposed, "password", "proposed_password");
  // Apart from logins: who tries those keeps nobody who is logged in from changing what they try.
  const person = `change ${user_id}`;
  const guesser = { account_id, person, source: null, limit: settings.factor_guess_limit };
  const { storage } = directory;
  const since = await setSince(storage, account_id, user_id);
  if (since === undefined) return replace(directory, account, guesser, change, undefined, actor);
  if (!previous && recovered)
    return replace(directory, account, guesser, change, { kind: "password", updated_at: since }, actor);
  if (!previous) throw refuseField("previous_password", "required", "is required");
  return inLine(guesser, async () => {
    // Changed while this waited: what it shows was the one before, which is no guess at what stands now.
    if ((await setSince(storage, account_id, user_id)) !== since) throw wrong();
    await takeGuess(directory, guesser, storage.now());
    const comparing = checkPassword(storage, account_id, user_id, ["password"], previous);
    const shown = await comparing.catch(orGiveBack(directory, guesser));
    if (!shown) throw wrong();
    // It was right when it was compared, so it was no guess, also where there is no room to hash what takes its place.
    await replace(directory, account, guesser, change, shown, actor).catch(orGiveBack(directory, guesser));
  });
}

/** @throws 400 invalid_grant where what was shown, or that there was none, stands no more. */
async function replace(
  directory: Directory,
  account: Account,
  guesser: Guesser,
  { user_id, login, proposed }: PasswordChange,
  shown: ShownPassword | undefined,
  actor: Actor,
): Promise<void> {
  const { storage } = directory;
  const { account_id } = account;
  const hashed = { kind: "password", hash: await hashPassword(account_id, proposed) } as const;
  await storage.write(async (tx) => {
    // The person before the password, in the order of whoever changes either.
    await holdByLogin(tx, { account_id, user_id }, login);
    // Of two who change it at once, the second has not shown what stands by then.
    if (!(await passwordStands(tx, { account_id, user_id }, shown, "update"))) throw wrong();
    const now = storage.now();
    if (shown) await forgiveIn(tx, directory, guesser);
    await storePassword(tx, account_id, user_id, hashed, now);
    await forgetGuesses(tx, { account_id, user_id });
    await tellOfChange(tx, account, user_id, ["password_changed"], now);
    await recordDeed(tx, { account_id, action: "password.changed", entity: user_id, now: instant(now), actor });
    await endLoginsOf(tx, directory, { account_id, user_id, kept: login });
  });
}

const wrong = () => refuse("invalid_grant", { message: "The previous password is wrong." });
