import type { Database, Instant } from "../../storage/storage.ts";
import type { DeviceRequest } from "./device-code.ts";

export interface NewDeviceRequest extends DeviceRequest {
  readonly digest: Uint8Array;
  readonly user_code_digest: Uint8Array;
}

/** @returns false when the user code is taken. */
export async function insertDeviceRequest(
  db: Database,
  { parameters, digest, user_code_digest, ...row }: NewDeviceRequest,
): Promise<boolean> {
  const bytes = { digest: Buffer.from(digest), user_code_digest: Buffer.from(user_code_digest) };
  const rows = await db
    .insertInto("device_codes")
    .values({ ...row, ...bytes, parameters: JSON.stringify(parameters) })
    .onConflict((conflict) => conflict.columns(["account_id", "user_code_digest"]).doNothing())
    .returning("id")
    .execute();
  return rows.length === 1;
}

const columns = [
  "account_id",
  "id",
  "client_id",
  "parameters",
  "state",
  "answer",
  "poll_interval",
  "polled_at",
  "created_at",
  "expires_at",
] as const;

type Row = { readonly parameters: string; readonly state: string; readonly poll_interval: number } & Omit<
  DeviceRequest,
  "parameters" | "state" | "poll_interval"
>;

const decode = (row: Row): DeviceRequest => ({
  ...row,
  parameters: JSON.parse(row.parameters),
  state: row.state as DeviceRequest["state"],
  poll_interval: Number(row.poll_interval),
});

export async function selectByDigest(
  db: Database,
  account_id: string,
  digest: Uint8Array,
): Promise<DeviceRequest | undefined> {
  const row = await db
    .selectFrom("device_codes")
    .select(columns)
    .where("account_id", "=", account_id)
    .where("digest", "=", Buffer.from(digest))
    .executeTakeFirst();
  return row && decode(row);
}

/** One that waits, by what a person typed. */
export async function selectByUserCode(
  db: Database,
  account_id: string,
  digests: readonly Uint8Array[],
  now: Instant,
): Promise<DeviceRequest | undefined> {
  const row = await db
    .selectFrom("device_codes")
    .select(columns)
    .where("account_id", "=", account_id)
    .where(
      "user_code_digest",
      "in",
      digests.map((digest) => Buffer.from(digest)),
    )
    .where("state", "=", "pending")
    .where("expires_at", ">", now)
    .executeTakeFirst();
  return row && decode(row);
}

/** @returns false when somebody answered before, or it has expired. */
export async function updateAnswered(
  db: Database,
  { account_id, id }: Pick<DeviceRequest, "account_id" | "id">,
  { state, answer }: Pick<DeviceRequest, "state" | "answer">,
  now: Instant,
): Promise<boolean> {
  const rows = await db
    .updateTable("device_codes")
    .set({ state, answer })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("state", "=", "pending")
    .where("expires_at", ">", now)
    .returning("id")
    .execute();
  return rows.length === 1;
}

export async function updatePolled(
  db: Database,
  { account_id, id }: DeviceRequest,
  polled_at: Instant,
  poll_interval: number,
): Promise<void> {
  await db
    .updateTable("device_codes")
    .set({ polled_at, poll_interval })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .execute();
}
