import type { Database, Instant } from "../../storage/storage.ts";
import type { Connection } from "./connection.ts";

export async function insertConnection(
  db: Database,
  connection: Connection & { readonly created_at: Instant },
): Promise<void> {
  await db
    .insertInto("connections")
    .values({ ...connection, settings: "{}", updated_at: connection.created_at })
    .execute();
}

export async function selectConnections(db: Database, account_id: string): Promise<readonly Connection[]> {
  const rows = await db
    .selectFrom("connections")
    .select(["account_id", "name", "strategy"])
    .where("account_id", "=", account_id)
    .where("deleted_at", "is", null)
    .execute();
  return rows as Connection[];
}
