import { recordDeed } from "../../audit/audit.ts";
import { refuse } from "../../errors.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { UserType } from "../clients/client.ts";
import { selectIsExternal } from "./account-user-store.ts";
import { canonicalEmail } from "./identifier.ts";
import { insertUser, selectUser, selectUserByVerifiedEmail, selectUsersByPhone } from "./store.ts";
import { takeAddress } from "./take-address.ts";
import type { User } from "./user.ts";

export interface SignUp {
  readonly account_id: string;
  readonly type: UserType;
  readonly email: string | null;
  /** E.164 */
  readonly phone_number: string | null;
  readonly name?: string | null;
  /** BCP 47 */
  readonly locale: string | null;
  /** The code that verified it. */
  readonly code_id?: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Creates the user whose address or number a code or a trusted provider has just verified, inside the caller's
 * transaction; or finds the one who verified it in the meantime. One that somebody merely entered is no reason to let
 * its owner in as them: an address leaves their record.
 *
 * @throws 400 invalid_verification_code where several users have verified the number, or the account's own provider logs in
 *   whose address it is.
 */
export async function signUpUser(tx: Transaction, person: SignUp): Promise<User> {
  const { account_id, type, email, phone_number, locale, now } = person;
  const email_canonical = email === null ? null : (canonicalEmail(email) ?? email);
  const taken = email_canonical
    ? await selectUserByVerifiedEmail(tx.db, account_id, type, email_canonical)
    : phone_number && (await findByPhone(tx, account_id, type, phone_number));
  if (taken) return checkLogsInHere(tx, taken);
  const id = uuidv7(now);
  const created_at = instant(now);
  const verified = { email_verified_at: email && created_at, phone_verified_at: phone_number && created_at };
  const row = {
    account_id,
    id,
    type,
    customer_id: null,
    email,
    email_canonical,
    phone_number,
    name: person.name ?? null,
    locale,
  };
  const context = person.code_id === undefined ? {} : { code_id: person.code_id };
  const insert = async () => {
    if (email_canonical) await takeAddress(tx, row, email_canonical, created_at, context);
    return insertUser(tx.db, { ...row, ...verified, created_at, created_by: null });
  };
  // Somebody may enter the address between one and the other; whoever verified it meanwhile keeps it.
  if ((await insert()) || (await insert())) {
    const actor = { id, context };
    await recordDeed(tx, { account_id, action: "user.signed_up", entity: id, now: created_at, actor });
  }
  const user =
    (await selectUser(tx.db, account_id, id)) ??
    (email_canonical && (await selectUserByVerifiedEmail(tx.db, account_id, type, email_canonical)));
  if (!user) throw new Error("a user was neither created nor found");
  return checkLogsInHere(tx, user);
}

async function checkLogsInHere(tx: Transaction, user: User): Promise<User> {
  if (await selectIsExternal(tx.db, user.account_id, user.id)) throw refuse("invalid_verification_code");
  return user;
}

async function findByPhone(tx: Transaction, account_id: string, type: UserType, phone_number: string) {
  const [user, other] = await selectUsersByPhone(tx.db, account_id, type, phone_number);
  if (other) throw refuse("invalid_verification_code");
  return user;
}
