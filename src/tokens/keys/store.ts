import { sql } from "kysely";
import type { SigningAlg } from "../../secrets/signing-alg.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { Jwk } from "./key.ts";

export interface StoredKey {
  readonly account_id: string;
  readonly kid: string;
  readonly alg: SigningAlg;
  readonly public_jwk: Jwk;
  /** Sealed PKCS #8. */
  readonly private_key: Uint8Array;
  readonly created_at: Instant;
  readonly active_at: Instant;
  readonly retired_at: Instant | null;
  readonly expires_at: Instant | null;
}

/** Keys that sign, will sign or still verify, oldest first. */
export async function selectKeys(db: Database, account_id: string, now: Instant): Promise<readonly StoredKey[]> {
  const rows = await db
    .selectFrom("signing_keys")
    .select(columns.signing_keys)
    .where("account_id", "=", account_id)
    .where((eb) => eb.or([eb("expires_at", "is", null), eb("expires_at", ">", now)]))
    .orderBy("active_at")
    .orderBy("kid")
    .execute();
  return rows.map((row) => ({ ...row, alg: row.alg as SigningAlg, public_jwk: JSON.parse(row.public_jwk) as Jwk }));
}

/** Serialises writers of one account's keys: on PostgreSQL by its row, on SQLite there is one writer anyway. */
export async function lockAccount(db: Database, account_id: string): Promise<void> {
  await db.updateTable("accounts").set({ updated_at: sql`updated_at` }).where("account_id", "=", account_id).execute();
}

export async function insertKey(db: Database, key: StoredKey): Promise<void> {
  await db
    .insertInto("signing_keys")
    .values({ ...key, public_jwk: JSON.stringify(key.public_jwk), private_key: Buffer.from(key.private_key) })
    .execute();
}

/** Ends the other keys of the algorithm that have no end yet. */
export async function updateRetired(
  db: Database,
  key: StoredKey,
  retired_at: Instant,
  expires_at: Instant,
): Promise<void> {
  await db
    .updateTable("signing_keys")
    .set({ retired_at, expires_at })
    .where("account_id", "=", key.account_id)
    .where("alg", "=", key.alg)
    .where("kid", "!=", key.kid)
    .where((eb) => eb.or([eb("expires_at", "is", null), eb("expires_at", ">", expires_at)]))
    .execute();
}

/** Accounts whose newest key of an algorithm became active before `before`; from the oldest on, reading no others. */
export async function selectOldKeys(
  db: Database,
  before: Instant,
  limit: number,
): Promise<readonly { account_id: string; alg: SigningAlg }[]> {
  const rows = await db
    .selectFrom("signing_keys as old")
    .select(["old.account_id", "old.alg"])
    .where("old.retired_at", "is", null)
    .where("old.active_at", "<", before)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom("signing_keys as newer")
            .select("newer.kid")
            .whereRef("newer.account_id", "=", "old.account_id")
            .whereRef("newer.alg", "=", "old.alg")
            .where("newer.retired_at", "is", null)
            .whereRef("newer.active_at", ">", "old.active_at"),
        ),
      ),
    )
    .orderBy("old.active_at")
    .limit(limit)
    .execute();
  return rows as { account_id: string; alg: SigningAlg }[];
}

export interface StoredAccountKey {
  readonly account_id: string;
  readonly name: string;
  readonly sealed: Uint8Array;
  readonly created_at: Instant;
}

export async function selectAccountKey(
  db: Database,
  account_id: string,
  name: string,
): Promise<Uint8Array | undefined> {
  const row = await db
    .selectFrom("account_keys")
    .select("sealed")
    .where("account_id", "=", account_id)
    .where("name", "=", name)
    .executeTakeFirst();
  return row?.sealed;
}

/** Changes nothing where there is one already. */
export async function insertAccountKey(db: Database, key: StoredAccountKey): Promise<void> {
  await db
    .insertInto("account_keys")
    .values({ ...key, sealed: Buffer.from(key.sealed) })
    .onConflict((conflict) => conflict.columns(["account_id", "name"]).doNothing())
    .execute();
}
