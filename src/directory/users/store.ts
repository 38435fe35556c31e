import { sql } from "kysely";
import { smallUuid } from "../../secrets/uuid.ts";
import { markDeleted } from "../../storage/mark-deleted.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import type { UserType } from "../clients/client.ts";
import type { User } from "./user.ts";

/** Of every kind of user. */
export const columns = [
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
  "second_factor",
  "created_at",
  "created_by",
  "updated_at",
  "deleted_at",
  "deleted_by",
] as const;

const userOf = (row: User): User =>
  Object.fromEntries(columns.map((column) => [column, row[column]])) as unknown as User;

interface UserRow extends Omit<User, "second_factor" | "updated_at" | "deleted_at" | "deleted_by"> {
  readonly email_canonical: string | null;
}

/** @returns false when the address or the customer_id is taken. */
export async function insertUser(
  db: Database,
  user: UserRow,
  profile: object = {},
  scope: readonly string[] = [],
): Promise<boolean> {
  const further = { profile: JSON.stringify(profile), scope: JSON.stringify(scope) };
  const rows = await db
    .insertInto("users")
    .values({ ...user, ...further, updated_at: user.created_at })
    .onConflict((conflict) => conflict.doNothing())
    .returning("id")
    .execute();
  return rows.length === 1;
}

const liveUsers = (db: Database, account_id: string) =>
  db.selectFrom("users").select(columns).where("account_id", "=", account_id).where("deleted_at", "is", null);

export async function selectUser(db: Database, account_id: string, id: string): Promise<User | undefined> {
  return (await liveUsers(db, account_id).where("id", "=", id).executeTakeFirst()) as User | undefined;
}

export async function selectUserByCustomerId(
  db: Database,
  account_id: string,
  customer_id: string,
): Promise<User | undefined> {
  const found = liveUsers(db, account_id).where("customer_id", "=", customer_id);
  return (await found.executeTakeFirst()) as User | undefined;
}

/** What a user has beside that, as text, living or just deleted. */
export async function selectProfile(db: Database, account_id: string, id: string): Promise<string | undefined> {
  const found = db.selectFrom("users").select("profile").where("account_id", "=", account_id).where("id", "=", id);
  return (await found.executeTakeFirst())?.profile;
}

/** Whether a uuid, of a live or deleted user and in either case, is what somebody is to be called. */
export async function selectIsId(db: Database, account_id: string, name: string): Promise<boolean> {
  const users = db.selectFrom("users").select("id").where("account_id", "=", account_id);
  const found = users.where("id", "=", smallUuid(name));
  return (await found.executeTakeFirst()) !== undefined;
}

export async function selectUserByEmail(
  db: Database,
  account_id: string,
  type: UserType,
  email_canonical: string,
): Promise<User | undefined> {
  const found = liveUsers(db, account_id).where("type", "=", type).where("email_canonical", "=", email_canonical);
  return (await found.executeTakeFirst()) as User | undefined;
}

/** Who has verified the address. */
export async function selectUserByVerifiedEmail(
  db: Database,
  account_id: string,
  type: UserType,
  email_canonical: string,
): Promise<User | undefined> {
  const found = liveUsers(db, account_id).where("type", "=", type).where("email_canonical", "=", email_canonical);
  return (await found.where("email_verified_at", "is not", null).executeTakeFirst()) as User | undefined;
}

/** Takes an address out of the record of who never verified it. @returns whose that was, other than `id`. */
export async function updateAddressTaken(
  db: Database,
  { account_id, type, id }: Pick<User, "account_id" | "type" | "id">,
  email_canonical: string,
  now: Instant,
): Promise<string | undefined> {
  const [row] = await db
    .updateTable("users")
    .set({ email: null, email_canonical: null, updated_at: now })
    .where("account_id", "=", account_id)
    .where("type", "=", type)
    .where("email_canonical", "=", email_canonical)
    .where("email_verified_at", "is", null)
    .where("deleted_at", "is", null)
    .where("id", "!=", id)
    .returning("id")
    .execute();
  return row?.id;
}

/** Who has verified it. At most two: more than one means that the number cannot log anybody in. */
export async function selectUsersByPhone(
  db: Database,
  account_id: string,
  type: UserType,
  phone_number: string,
): Promise<readonly User[]> {
  const found = liveUsers(db, account_id).where("type", "=", type).where("phone_number", "=", phone_number);
  return (await found.where("phone_verified_at", "is not", null).limit(2).execute()) as User[];
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

/** The user before what they hold, as whoever changes that does. @returns undefined when the user was gone. */
export async function deleteUser(
  db: Database,
  account_id: string,
  id: string,
  deleted_by: string,
  now: Instant,
): Promise<User | undefined> {
  const row = await markDeleted<User>(db, "users", { account_id, id }, deleted_by, now);
  await db.deleteFrom("user_roles").where("account_id", "=", account_id).where("user_id", "=", id).execute();
  return row && userOf(row);
}

const everybody = (db: Database, account_id: string) =>
  db.selectFrom("users").select(columns).where("account_id", "=", account_id);

/** Users who live or are deleted: the one with an id, or else all who go by an address, a number or the account's own name. */
export async function selectEverybody(
  db: Database,
  account_id: string,
  wanted: { readonly name: string; readonly email_canonical: string | null; readonly phone_number: string | null },
): Promise<readonly User[]> {
  const { name, email_canonical, phone_number } = wanted;
  const one = await everybody(db, account_id).where("id", "=", name).execute();
  if (one.length > 0) return one as User[];
  const rows = await everybody(db, account_id)
    .where((eb) =>
      eb.or([
        eb("customer_id", "=", name),
        ...(email_canonical === null ? [] : [eb("email_canonical", "=", email_canonical)]),
        ...(phone_number === null ? [] : [eb("phone_number", "=", phone_number)]),
      ]),
    )
    .orderBy("id")
    .execute();
  return rows as User[];
}

export interface Contact {
  /** Canonical. */
  readonly email: string | null;
  readonly phone_number: string | null;
}

/** Of living users but this one who have the address or the number. */
export function selectContactsOfOthers(
  db: Database,
  account_id: string,
  id: string,
  { email, phone_number }: Contact,
): Promise<readonly Contact[]> {
  return db
    .selectFrom("users")
    .select(["email_canonical as email", "phone_number"])
    .where("account_id", "=", account_id)
    .where("type", "in", ["customer", "company", "account_user"])
    .where("deleted_at", "is", null)
    .where("id", "!=", id)
    .where((eb) => eb.or([eb("email_canonical", "=", email), eb("phone_number", "=", phone_number)]))
    .execute();
}

export async function updateErased(db: Database, account_id: string, id: string, now: Instant): Promise<void> {
  const contact = { email: null, email_canonical: null, email_verified_at: null };
  const number = { phone_number: null, phone_verified_at: null };
  const nobody = { customer_id: null, name: null, locale: null, profile: "{}", scope: "[]" };
  const times = { last_seen_at: null, logins_ended_at: null, logins_ended_but: null, updated_at: now };
  await db
    .updateTable("users")
    .set({ ...contact, ...number, ...nobody, ...times, second_factor: 0 })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .execute();
}

/** What somebody is called and spoken to in, and as text what they have beside a user. */
export interface Held extends Pick<User, "name" | "locale"> {
  readonly profile: string;
}

/** The user's row, held until this transaction ends; undefined when they are gone. */
export async function holdUser(db: Database, account_id: string, id: string): Promise<Held | undefined> {
  const [row] = await db
    .updateTable("users")
    .set((eb) => ({ updated_at: eb.ref("updated_at") }))
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning(["name", "locale", "profile"])
    .execute();
  return row;
}

/** @returns what they are then; undefined when they are gone. */
export async function updateCustomer(
  db: Database,
  account_id: string,
  id: string,
  change: { readonly name?: string | null; readonly profile?: string; readonly locale?: string },
  now: Instant,
): Promise<User | undefined> {
  const rows = await db
    .updateTable("users")
    .set({ ...change, updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning(columns)
    .execute();
  return rows[0] as User | undefined;
}

export async function updateSecondFactor(db: Database, account_id: string, id: string, on: boolean): Promise<void> {
  await db
    .updateTable("users")
    .set({ second_factor: on ? 1 : 0 })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .execute();
}

export async function updateContact(
  db: Database,
  account_id: string,
  id: string,
  field: "email" | "phone_number",
  value: string,
  now: Instant,
): Promise<boolean> {
  // The address that it is already stays as it was written.
  const written = sql<string>`case when email_canonical = ${value} then email else ${value} end`;
  const email = { email: written, email_canonical: value, email_verified_at: now };
  const rows = await db
    .updateTable("users")
    .set({ ...(field === "email" ? email : { phone_number: value, phone_verified_at: now }), updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning("id")
    .execute();
  return rows.length === 1;
}
