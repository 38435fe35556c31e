import type { Database } from "../storage/storage.ts";
import { columns } from "../storage/tables.ts";
import type { AuditEvent } from "./audit.ts";

/** What one actor did, newest first. */
export async function listEvents(
  db: Database,
  account_id: string,
  actor: string,
  limit: number,
): Promise<readonly AuditEvent[]> {
  const rows = await db
    .selectFrom("audit_events")
    .select(columns.audit_events)
    .where("account_id", "=", account_id)
    .where("actor", "=", actor)
    .orderBy("id", "desc")
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, context: JSON.parse(row.context) }) as AuditEvent);
}
