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
