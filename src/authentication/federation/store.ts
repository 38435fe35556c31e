import type { UserType } from "../../directory/clients/client.ts";
import type { Database, Instant } from "../../storage/storage.ts";

export interface Identity {
  readonly account_id: string;
  readonly issuer: string;
  readonly subject: string;
}

export interface Link {
  readonly user_id: string;
  /** Of the user, who lives; null where they do not. */
  readonly type: UserType | null;
}

export async function selectIdentity(db: Database, identity: Identity): Promise<Link | undefined> {
  const row = await db
    .selectFrom("federated_identities as f")
    .leftJoin("live_users as u", (join) =>
      join.onRef("u.account_id", "=", "f.account_id").onRef("u.id", "=", "f.user_id"),
    )
    .select(["f.user_id", "u.type"])
    .where("f.account_id", "=", identity.account_id)
    .where("f.issuer", "=", identity.issuer)
    .where("f.subject", "=", identity.subject)
    .executeTakeFirst();
  return row && { user_id: row.user_id, type: row.type as UserType | null };
}

/** A link to a user who is `gone` gives way. @returns false when somebody else was quicker. */
export async function upsertIdentity(
  db: Database,
  identity: Identity,
  user_id: string,
  gone: string | undefined,
  created_at: Instant,
): Promise<boolean> {
  const rows = await db
    .insertInto("federated_identities")
    .values({ ...identity, user_id, created_at })
    .onConflict((conflict) =>
      conflict
        .columns(["account_id", "issuer", "subject"])
        .doUpdateSet({ user_id, created_at })
        .where("federated_identities.user_id", "=", gone ?? ""),
    )
    .returning("user_id")
    .execute();
  return rows.length === 1;
}
