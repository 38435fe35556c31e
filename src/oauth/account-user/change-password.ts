import { recordDeed } from "../../audit/audit.ts";
import { forgiveIn, orGiveBack, takeGuess } from "../../authentication/guesses/guess.ts";
import {
  checkNewPassword,
  checkPassword,
  hashPassword,
  hasPassword,
  passwordStands,
  type ShownPassword,
  storePassword,
} from "../../authentication/passwords/password.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { holdPerson } from "../../directory/users/hold-user.ts";
import { refuse, refuseField } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { endOtherLogins } from "../refresh/end-logins.ts";

export interface PasswordChange {
  readonly user_id: string;
  /** The login at hand, which goes on. */
  readonly sid: string;
  readonly previous: Secret | undefined;
  readonly proposed: Secret;
}

/**
 * Sets a person's password once they have shown the one before, where there is one. Their other logins end.
 *
 * @throws 400 invalid_request; 400 invalid_grant for a wrong previous password; 429 too_many_attempts.
 */
export async function changePassword(
  directory: Directory,
  { account_id, settings }: Account,
  { user_id, sid, previous, proposed }: PasswordChange,
  actor: Actor,
): Promise<void> {
  const { storage } = directory;
  const now = storage.now();
  checkNewPassword(proposed, "password", "proposed_password");
  const guesser = { account_id, person: user_id, source: null, limit: settings.factor_guess_limit };
  const guessed = await hasPassword(storage, account_id, user_id);
  let shown: ShownPassword | undefined;
  if (guessed) {
    if (!previous) throw refuseField("previous_password", "required", "is required");
    await takeGuess(directory, guesser, now);
    const comparing = checkPassword(storage, account_id, user_id, ["password"], previous);
    shown = await comparing.catch(orGiveBack(directory, guesser));
    if (!shown) throw wrong();
  }
  const hashing = hashPassword(account_id, proposed);
  // A right one was no guess either where there is no room to hash what takes its place.
  const hash = await (guessed ? hashing.catch(orGiveBack(directory, guesser)) : hashing);
  const hashed = { kind: "password", hash } as const;
  const changed = await storage.write(async (tx) => {
    // The person before the password, in the order of whoever changes either.
    await holdPerson(tx, account_id, user_id);
    // Of two who change it at once, the second has not shown what stands by then.
    if (!(await passwordStands(tx, storage.engine, { account_id, user_id }, shown, "update"))) return false;
    if (shown) await forgiveIn(tx, directory, guesser);
    await storePassword(tx, account_id, user_id, hashed, storage.now());
    await recordDeed(tx, { account_id, action: "password.changed", entity: user_id, now: instant(now), actor });
    await endOtherLogins(tx, directory, { account_id, user_id, except: sid });
    return true;
  });
  if (changed) return;
  // It was right when it was compared, so it was no guess.
  if (guessed) await orGiveBack(directory, guesser)(wrong());
  throw wrong();
}

const wrong = () => refuse("invalid_grant", { message: "The previous password is wrong." });
