import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { FactorKind } from "./mfa.ts";

export interface FactorRow {
  readonly account_id: string;
  readonly user_id: string;
  readonly kind: FactorKind;
  readonly target: string | null;
  readonly seed: Uint8Array | null;
  readonly enabled_at: Instant | null;
  readonly last_step: number;
  readonly updated_at: Instant;
}

export function selectFactors(db: Database, account_id: string, user_id: string): Promise<readonly FactorRow[]> {
  return selectFactorsOf(db, account_id, [user_id]);
}

export async function selectFactorsOf(
  db: Database,
  account_id: string,
  user_ids: readonly string[],
): Promise<readonly FactorRow[]> {
  if (user_ids.length === 0) return [];
  const rows = await db
    .selectFrom("factors")
    .select(columns.factors)
    .where("account_id", "=", account_id)
    .where("user_id", "in", user_ids)
    .orderBy("kind", "desc")
    .execute();
  return rows as FactorRow[];
}

export async function upsertFactor(db: Database, row: FactorRow): Promise<void> {
  const { account_id: _account, user_id: _user, kind: _kind, ...fields } = row;
  const stored = { ...fields, seed: fields.seed === null ? null : Buffer.from(fields.seed) };
  await db
    .insertInto("factors")
    .values({ ...row, ...stored })
    .onConflict((conflict) => conflict.columns(["account_id", "user_id", "kind"]).doUpdateSet(stored))
    .execute();
}

export async function deleteFactors(
  db: Database,
  account_id: string,
  user_id: string,
  kinds: readonly FactorKind[],
): Promise<void> {
  if (kinds.length === 0) return;
  await db
    .deleteFrom("factors")
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("kind", "in", kinds)
    .execute();
}

export async function updateTarget(
  db: Database,
  { account_id, user_id, kind, target }: Pick<FactorRow, "account_id" | "user_id" | "kind" | "target">,
  to: string,
  updated_at: Instant,
): Promise<void> {
  await db
    .updateTable("factors")
    .set({ target: to, updated_at })
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("kind", "=", kind)
    .where("target", "=", target)
    .execute();
}

/** A TOTP step works once. @returns false when it, or a later one, was used. */
export async function updateStep(db: Database, account_id: string, user_id: string, step: number): Promise<boolean> {
  const rows = await db
    .updateTable("factors")
    .set({ last_step: step })
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("kind", "=", "totp")
    .where("last_step", "<", step)
    .returning("kind")
    .execute();
  return rows.length === 1;
}
