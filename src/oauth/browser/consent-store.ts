import type { Database, Instant } from "../../storage/storage.ts";

export interface ConsentKey {
  readonly account_id: string;
  readonly user_id: string;
  /** The client's uuid. */
  readonly client_id: string;
  /** Empty for userinfo alone. */
  readonly audience: string;
}

export async function selectConsent(db: Database, key: ConsentKey): Promise<readonly string[] | undefined> {
  const row = await db
    .selectFrom("consents")
    .select("scope")
    .where("account_id", "=", key.account_id)
    .where("user_id", "=", key.user_id)
    .where("client_id", "=", key.client_id)
    .where("audience", "=", key.audience)
    .executeTakeFirst();
  return row && (JSON.parse(row.scope) as string[]);
}

export async function upsertConsent(
  db: Database,
  { scope, granted_at, ...key }: ConsentKey & { readonly scope: readonly string[]; readonly granted_at: Instant },
): Promise<void> {
  const fields = { scope: JSON.stringify(scope), granted_at };
  await db
    .insertInto("consents")
    .values({ ...key, ...fields })
    .onConflict((conflict) => conflict.columns(["account_id", "user_id", "client_id", "audience"]).doUpdateSet(fields))
    .execute();
}

export interface StoredConsent extends ConsentKey {
  readonly scope: readonly string[];
  readonly granted_at: Instant;
}

/** What a person agreed to, newest first. */
export async function selectConsents(
  db: Database,
  account_id: string,
  user_id: string,
): Promise<readonly StoredConsent[]> {
  const rows = await db
    .selectFrom("consents")
    .selectAll()
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .orderBy("granted_at", "desc")
    .limit(200)
    .execute();
  return rows.map((row) => ({ ...row, scope: JSON.parse(row.scope) as string[] }));
}

/** @returns false when there was none. */
export async function deleteConsents(
  db: Database,
  account_id: string,
  user_id: string,
  client_id: string,
): Promise<boolean> {
  const rows = await db
    .deleteFrom("consents")
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("client_id", "=", client_id)
    .returning("audience")
    .execute();
  return rows.length > 0;
}
