import type { Database, Instant } from "../../storage/storage.ts";

export interface Identity {
  readonly account_id: string;
  readonly issuer: string;
  readonly subject: string;
}

/** The user's id. */
export async function selectIdentity(db: Database, identity: Identity): Promise<string | undefined> {
  const row = await db
    .selectFrom("federated_identities as f")
    .innerJoin("live_users as u", (join) =>
      join.onRef("u.account_id", "=", "f.account_id").onRef("u.id", "=", "f.user_id"),
    )
    .select("f.user_id")
    .where("f.account_id", "=", identity.account_id)
    .where("f.issuer", "=", identity.issuer)
    .where("f.subject", "=", identity.subject)
    .executeTakeFirst();
  return row?.user_id;
}

/** A link to a user who is gone gives way. */
export async function upsertIdentity(
  db: Database,
  identity: Identity,
  user_id: string,
  created_at: Instant,
): Promise<void> {
  await db
    .insertInto("federated_identities")
    .values({ ...identity, user_id, created_at })
    .onConflict((conflict) =>
      conflict.columns(["account_id", "issuer", "subject"]).doUpdateSet({ user_id, created_at }),
    )
    .execute();
}
