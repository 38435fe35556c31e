import type { Database, Instant } from "../../storage/storage.ts";
import type { UserType } from "../clients/client.ts";
import type { User } from "./user.ts";

const columns = [
  "account_id",
  "id",
  "type",
  "customer_id",
  "email",
  "email_verified_at",
  "phone_number",
  "phone_verified_at",
  "name",
  "locale",
  "created_at",
  "created_by",
  "updated_at",
  "deleted_at",
  "deleted_by",
] as const;

export interface NewUser extends Omit<User, "updated_at" | "deleted_at" | "deleted_by"> {
  readonly email_canonical: string | null;
}

/** @returns false when the address or the customer_id is taken. */
export async function insertUser(db: Database, user: NewUser): Promise<boolean> {
  const rows = await db
    .insertInto("users")
    .values({ ...user, profile: "{}", scope: "[]", updated_at: user.created_at })
    .onConflict((conflict) => conflict.doNothing())
    .returning("id")
    .execute();
  return rows.length === 1;
}

export async function selectUser(db: Database, account_id: string, id: string): Promise<User | undefined> {
  const row = await db
    .selectFrom("users")
    .select(columns)
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row as User | undefined;
}

export async function selectUserByCustomerId(
  db: Database,
  account_id: string,
  customer_id: string,
): Promise<User | undefined> {
  const row = await db
    .selectFrom("users")
    .select(columns)
    .where("account_id", "=", account_id)
    .where("customer_id", "=", customer_id)
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row as User | undefined;
}

export async function selectUserByEmail(
  db: Database,
  account_id: string,
  type: UserType,
  email_canonical: string,
): Promise<User | undefined> {
  const row = await db
    .selectFrom("users")
    .select(columns)
    .where("account_id", "=", account_id)
    .where("type", "=", type)
    .where("email_canonical", "=", email_canonical)
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row as User | undefined;
}

export async function selectUsersByPhone(
  db: Database,
  account_id: string,
  type: UserType,
  phone_number: string,
): Promise<readonly User[]> {
  const rows = await db
    .selectFrom("users")
    .select(columns)
    .where("account_id", "=", account_id)
    .where("type", "=", type)
    .where("phone_number", "=", phone_number)
    .where("deleted_at", "is", null)
    .limit(2)
    .execute();
  return rows as User[];
}

export interface Identifiers {
  readonly types: readonly UserType[];
  readonly email_canonical: string | null;
  readonly phone_number: string | null;
}

/** Whether a live user has all of the given identifiers. */
export async function selectAnyUser(db: Database, account_id: string, wanted: Identifiers): Promise<boolean> {
  const { types, email_canonical, phone_number } = wanted;
  const row = await db
    .selectFrom("users")
    .select("id")
    .where("account_id", "=", account_id)
    .where("type", "in", types)
    .where("deleted_at", "is", null)
    .$if(email_canonical !== null, (query) => query.where("email_canonical", "=", email_canonical))
    .$if(phone_number !== null, (query) => query.where("phone_number", "=", phone_number))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** @returns undefined when the user was gone. */
export async function deleteUser(
  db: Database,
  account_id: string,
  id: string,
  deleted_by: string,
  now: Instant,
): Promise<User | undefined> {
  const row = await db
    .updateTable("users")
    .set({ deleted_at: now, deleted_by, updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning(columns)
    .executeTakeFirst();
  return row as User | undefined;
}
