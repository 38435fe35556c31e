import { sql } from "kysely";
import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { AuthorizationRequest, Progress } from "./authorization-request.ts";

export async function insertRequest(
  db: Database,
  { parameters, progress, browser_digest, kept: _kept, ...row }: AuthorizationRequest,
): Promise<void> {
  const encoded = { parameters: JSON.stringify(parameters), progress: JSON.stringify(progress) };
  await db
    .insertInto("authorization_requests")
    .values({ ...row, ...encoded, browser_digest: browser_digest && Buffer.from(browser_digest) })
    .execute();
}

export async function selectRequest(
  db: Database,
  account_id: string,
  id: string,
  now: Instant,
): Promise<AuthorizationRequest | undefined> {
  const row = await db
    .selectFrom("authorization_requests")
    .select(columns.authorization_requests)
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("expires_at", ">", now)
    .executeTakeFirst();
  if (!row) return undefined;
  const kind = row.kind as AuthorizationRequest["kind"];
  return { ...row, kind, kept: true, parameters: JSON.parse(row.parameters), progress: JSON.parse(row.progress) };
}

/** Binds a request to the first browser that shows it, as often as it does. @returns false when another one was first. */
export async function updateBound(
  db: Database,
  account_id: string,
  id: string,
  browser_digest: Uint8Array,
): Promise<boolean> {
  const digest = Buffer.from(browser_digest);
  const rows = await db
    .updateTable("authorization_requests")
    .set({ browser_digest: digest })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where((eb) => eb.or([eb("browser_digest", "is", null), eb("browser_digest", "=", digest)]))
    .returning("id")
    .execute();
  return rows.length === 1;
}

/** @returns false when the request is gone, or another browser's. */
export async function updateProgress(
  db: Database,
  { account_id, id }: AuthorizationRequest,
  browser_digest: Uint8Array | null,
  progress: Progress,
): Promise<boolean> {
  const rows = await db
    .updateTable("authorization_requests")
    .set({ progress: JSON.stringify(progress) })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("browser_digest", "=", browser_digest && Buffer.from(browser_digest))
    .returning("id")
    .execute();
  return rows.length === 1;
}

/**
 * Leaves alone what has moved on since it was read.
 *
 * @returns whether it had not; undefined when the request is gone, or another browser's.
 */
export async function updateProgressAsRead(
  db: Database,
  { account_id, id, progress: read }: AuthorizationRequest,
  browser_digest: Uint8Array | null,
  progress: Progress,
): Promise<boolean | undefined> {
  const noted = JSON.stringify(progress);
  const [row] = await db
    .updateTable("authorization_requests")
    .set({ progress: sql`case when progress = ${JSON.stringify(read)} then ${noted} else progress end` })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("browser_digest", "=", browser_digest && Buffer.from(browser_digest))
    .returning("progress")
    .execute();
  return row && row.progress === noted;
}

/** @returns false when it was used. */
export async function updateUsed(db: Database, account_id: string, id: string, now: Instant): Promise<boolean> {
  const rows = await db
    .updateTable("authorization_requests")
    .set({ used_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("used_at", "is", null)
    .where("expires_at", ">", now)
    .returning("id")
    .execute();
  return rows.length === 1;
}
