import type { Client } from "../../directory/clients/client.ts";
import { type Database, type Instant, instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import { KEPT, NOBODY, type Registration } from "./registration.ts";

export type Registered = Pick<Registration, "account_id" | "client_id">;

export async function upsertRegistration(db: Database, { token_digest, ...row }: Registration): Promise<void> {
  const { fresh_until } = row;
  await db
    .insertInto("client_registrations")
    .values({ ...row, token_digest: token_digest && Buffer.from(token_digest) })
    .onConflict((conflict) => conflict.columns(["account_id", "client_id"]).doUpdateSet({ fresh_until }))
    .execute();
}

export function selectRegistration(
  db: Database,
  account_id: string,
  client_id: string,
): Promise<Registration | undefined> {
  return db
    .selectFrom("client_registrations")
    .select(columns.client_registrations)
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .executeTakeFirst();
}

/** Clients that live and that a document describes. */
export async function countDocuments(db: Database, account_id: string): Promise<number> {
  const { n } = await countLiving(db, account_id, "metadata").executeTakeFirstOrThrow();
  return Number(n);
}

/** Clients that live and that somebody registered without an initial access token. */
export async function countOpenlyRegistered(db: Database, account_id: string): Promise<number> {
  const { n } = await countLiving(db, account_id, "dynamic").where("created_by", "=", NOBODY).executeTakeFirstOrThrow();
  return Number(n);
}

/** What was noted of a registration outlives its client, until it is swept; the room that the client took does not. */
const countLiving = (db: Database, account_id: string, origin: Client["origin"]) =>
  db
    .selectFrom("clients")
    .select((eb) => eb.fn.countAll<number>().as("n"))
    .where("account_id", "=", account_id)
    .where("origin", "=", origin)
    .where("deleted_at", "is", null);

/** Notes that a client was used, if that was last noted before `before`. `now` in milliseconds. */
export async function updateUsedAt(
  db: Database,
  { account_id, client_id }: Registered,
  before: Instant,
  now: number,
): Promise<void> {
  await db
    .updateTable("client_registrations")
    .set({ used_at: instant(now), expires_at: instant(now + KEPT) })
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .where("used_at", "<", before)
    .execute();
}

/** The longest unused of them, in the order of their keys, in which every process locks them. */
export async function selectUnused(db: Database, now: Instant, limit: number): Promise<readonly Registered[]> {
  const longest = db
    .selectFrom("client_registrations")
    .select(["account_id", "client_id"])
    .where("expires_at", "<", now)
    .orderBy("expires_at")
    .limit(limit);
  return db
    .selectFrom(longest.as("longest"))
    .select(["account_id", "client_id"])
    .orderBy("account_id")
    .orderBy("client_id")
    .execute();
}

/**
 * Looks again, as committed, whether nobody used it meanwhile, and holds it. @returns false when somebody did, or when
 * it is gone.
 */
export async function holdUnused(db: Database, { account_id, client_id }: Registered, now: Instant): Promise<boolean> {
  const rows = await db
    .selectFrom("client_registrations")
    .select("client_id")
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .where("expires_at", "<", now)
    .forUpdate()
    .execute();
  return rows.length === 1;
}

export async function deleteRegistration(db: Database, { account_id, client_id }: Registered): Promise<void> {
  await db
    .deleteFrom("client_registrations")
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .execute();
}
