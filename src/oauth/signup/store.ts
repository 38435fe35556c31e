import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { Signup } from "./signup.ts";

export async function insertSignup(db: Database, { applicant, digest, challenge_id, ...row }: Signup): Promise<void> {
  const bytes = { digest: Buffer.from(digest), challenge_id: Buffer.from(challenge_id) };
  await db
    .insertInto("signups")
    .values({ ...row, ...bytes, applicant: JSON.stringify(applicant) })
    .execute();
}

export async function selectSignup(
  db: Database,
  account_id: string,
  digests: readonly Uint8Array[],
): Promise<Signup | undefined> {
  const row = await db
    .selectFrom("signups")
    .select(columns.signups)
    .where("account_id", "=", account_id)
    .where(
      "digest",
      "in",
      digests.map((digest) => Buffer.from(digest)),
    )
    .executeTakeFirst();
  return row && { ...row, counter: Number(row.counter), applicant: JSON.parse(row.applicant) };
}

/** @returns false when another attempt verified it. */
export async function updateVerified(db: Database, { account_id, id }: Signup, now: Instant): Promise<boolean> {
  const rows = await db
    .updateTable("signups")
    .set({ verified_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("verified_at", "is", null)
    .where("expires_at", ">", now)
    .returning("id")
    .execute();
  return rows.length === 1;
}

/** The account that a code became which has not expired since. */
export async function selectCreated(
  db: Database,
  { account_id, id }: Signup,
  now: Instant,
): Promise<string | undefined> {
  const row = await db
    .selectFrom("signups")
    .select("created_account_id")
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("expires_at", ">", now)
    .executeTakeFirst();
  return row?.created_account_id ?? undefined;
}

export async function updateCreated(db: Database, { account_id, id }: Signup, created_account_id: string) {
  await db
    .updateTable("signups")
    .set({ created_account_id })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .execute();
}
