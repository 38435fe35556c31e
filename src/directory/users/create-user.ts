import { recordDeed } from "../../audit/audit.ts";
import { refuseField } from "../../errors.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Account } from "../accounts/account.ts";
import type { UserType } from "../clients/client.ts";
import type { Actor, Directory } from "../directory.ts";
import { findRolesOf } from "../roles/find-role.ts";
import type { Agreement } from "./account-user.ts";
import { replaceUserRoles } from "./account-user-store.ts";
import { checkHeld } from "./check-held.ts";
import { type NameParts, namesOf } from "./customer-names.ts";
import { findUser } from "./find-user.ts";
import { readEmail, readPhone } from "./identifier.ts";
import { insertUser, selectIsId, selectUserByCustomerId } from "./store.ts";
import type { User } from "./user.ts";

export interface NewUser {
  readonly type: UserType;
  readonly customer_id?: string | undefined;
  readonly email?: string | undefined;
  readonly phone_number?: string | undefined;
  readonly name?: string | undefined;
  /** Of a customer. */
  readonly first_name?: string | undefined;
  /** Of a customer. */
  readonly last_name?: string | undefined;
  /** BCP 47 */
  readonly locale?: string | undefined;
  /** Address and number count as verified, because the caller may administer users. */
  readonly verified: boolean;
  /** Of an account user. */
  readonly scope?: readonly string[] | undefined;
  readonly authentication_type?: "external" | undefined;
  readonly agreement?: Agreement | undefined;
  readonly role_ids?: readonly string[] | undefined;
  /** What else begins with the user, in the same transaction; `now` is when, in milliseconds. */
  readonly within?:
    | ((tx: Transaction, owner: { account_id: string; user_id: string }, now: number) => Promise<void>)
    | undefined;
}

/**
 * @throws 400 invalid_request: no identifier at all, one that cannot be read, or one that is taken; or an account user
 *   who would hold too much.
 */
export async function createUser(directory: Directory, account: Account, input: NewUser, actor: Actor): Promise<User> {
  const { account_id } = account;
  const phone_number =
    input.phone_number === undefined
      ? undefined
      : (await readPhone(input.phone_number, account.settings.country)).number;
  const now = directory.storage.now();
  const read = { ...input, phone_number };
  if (input.role_ids) {
    const roles = await findRolesOf(directory, account_id, input.role_ids);
    checkHeld([{ scope: input.scope ?? [] }, ...roles]);
  }
  const id = await directory.storage.write((tx) => createUserIn(tx, account_id, read, actor, now));
  if (id === undefined) throw await takenField(directory, account_id, input.customer_id);
  return findUser(directory, account_id, id);
}

/**
 * Part of a transaction; a number is in E.164 already.
 *
 * @returns the user's id; undefined when the address or the customer_id is taken, or the customer_id another's uuid.
 * @throws 400 invalid_request for an address that cannot be read.
 */
export async function createUserIn(
  tx: Transaction,
  account_id: string,
  input: NewUser,
  actor: Actor,
  now: number,
): Promise<string | undefined> {
  const { phone_number = null, customer_id = null } = input;
  // Whoever is named by it would be the other.
  if (customer_id !== null && (await selectIsId(tx.db, account_id, customer_id))) return undefined;
  const email_canonical = input.email === undefined ? null : readEmail(input.email);
  const created_at = instant(now);
  const { name = null, parts } = namesOf(input);
  const verified_at = input.verified ? created_at : null;
  const row = {
    account_id,
    id: uuidv7(now),
    type: input.type,
    customer_id,
    email: input.email?.trim() ?? null,
    email_canonical,
    email_verified_at: email_canonical === null ? null : verified_at,
    phone_number,
    phone_verified_at: phone_number === null ? null : verified_at,
    name,
    locale: input.locale ?? null,
    created_at,
    created_by: actor.id,
  };
  if (!(await insertUser(tx.db, row, profileOf(input, row.id, parts), input.scope))) return undefined;
  if (input.role_ids) await replaceUserRoles(tx.db, account_id, row.id, input.role_ids);
  await input.within?.(tx, { account_id, user_id: row.id }, now);
  await recordDeed(tx, { account_id, action: "user.created", entity: row.id, now: created_at, actor });
  return row.id;
}

function profileOf({ type, authentication_type, agreement }: NewUser, id: string, parts: NameParts = {}): object {
  return type === "account_user" ? { authentication_type, agreement, scope_version: id } : parts;
}

async function takenField(directory: Directory, account_id: string, customer_id: string | undefined): Promise<Error> {
  const { read } = directory.storage;
  const taken =
    customer_id !== undefined &&
    ((await selectUserByCustomerId(read, account_id, customer_id)) ||
      (await selectIsId(read, account_id, customer_id)));
  return refuseField(taken ? "customer_id" : "email", "taken", "is taken");
}
