import { sql } from "kysely";
import { seedContext } from "../authentication/mfa/seed.ts";
import type { Core } from "../core.ts";
import { secretContext } from "../directory/grants/oidc-secret.ts";
import { familyLives } from "../oauth/refresh/family-lives.ts";
import { type SealContext, seal, sealedVersion, unseal } from "../secrets/seal.ts";
import { type SealedTable, sealed_columns } from "../storage/sealed.ts";
import { instant } from "../storage/storage.ts";
import { accountKeyContext } from "../tokens/keys/account-key.ts";
import { keyContext } from "../tokens/keys/key.ts";

type Row = Readonly<Record<string, unknown>> & { readonly account_id: string };

/** What a value is sealed for, by the table that it stands in. */
const contexts: Readonly<Record<SealedTable, (row: Row) => SealContext>> = {
  account_keys: (row) => accountKeyContext(row.account_id, String(row.name)),
  signing_keys: (row) => keyContext(row.account_id, String(row.kid)),
  grants: (row) => secretContext(row.account_id, String(row.id)),
  factors: (row) => seedContext({ account_id: row.account_id, user_id: String(row.user_id) }),
};

const EXPIRY = sql`expires_at`;
/** A login that nobody refreshes is over when it was idle for too long. */
const IDLE_OR_EXPIRY = sql`case when idle_expires_at < expires_at then idle_expires_at else expires_at end`;
const FAMILY = sql`revoked_at is null and ${sql.raw(familyLives("refresh_families"))}`;

/** Rows whose codes and tokens are derived from the key that they name: those that are still good for something, and when they end. */
const derived = [
  { table: "verification_codes", alive: sql`spent_at is null`, ends: EXPIRY },
  { table: "contact_challenges", alive: sql`true`, ends: EXPIRY },
  { table: "signups", alive: sql`created_account_id is null`, ends: EXPIRY },
  { table: "refresh_families", alive: FAMILY, ends: IDLE_OR_EXPIRY },
] as const;

export interface Hanging {
  readonly count: number;
  /** When the last of them ends by itself; null where there are none. */
  readonly until: string | null;
}

export interface Resealed {
  /** The newest master key. */
  readonly version: string;
  readonly moved: Readonly<Record<string, number>>;
  /** What is still derived from an older key, by table. */
  readonly hanging: Readonly<Record<string, Hanging>>;
}

const BATCH = 200;

/**
 * Seals every value under the newest master key again, each in one conditional write, so that servers may run and another reseal
 * may be under way. Run it again when it was interrupted.
 *
 * @throws when a value is sealed under a key that is not configured.
 */
export async function resealAll({ storage, directory }: Core): Promise<Resealed> {
  const { master_keys } = directory;
  const moved: Record<string, number> = {};
  for (const kind of sealed_columns) {
    moved[`${kind.table}.${kind.column}`] = await resealTable({ storage, directory }, kind);
  }
  return { version: master_keys.current, moved, hanging: await countHanging(storage, master_keys.current) };
}

async function countHanging({ read, now }: Core["storage"], current: string): Promise<Record<string, Hanging>> {
  const counted: Record<string, Hanging> = {};
  for (const { table, alive, ends } of derived) {
    const { rows } = await sql<{ count: number; until: string | null }>`
      select count(*) as count, max(${ends}) as until from ${sql.table(table)}
      where key_version <> ${current} and ${ends} > ${instant(now())} and ${alive}`.execute(read);
    counted[table] = { count: Number(rows[0]?.count ?? 0), until: rows[0]?.until ?? null };
  }
  return counted;
}

async function resealTable(
  { storage, directory }: Pick<Core, "storage" | "directory">,
  { table, column, keys }: (typeof sealed_columns)[number],
): Promise<number> {
  const { master_keys } = directory;
  const context = contexts[table];
  const [name, value] = [sql.table(table), sql.ref(column)];
  const order = ["account_id", ...keys];
  const columns = sql.join(order.map((key) => sql.ref(key)));
  let after: readonly string[] | undefined;
  let moved = 0;
  for (;;) {
    const further = after ? sql`and (${columns}) > (${sql.join(after)})` : sql``;
    const { rows } = await sql<Row>`select ${columns}, ${value} as sealed from ${name}
      where ${value} is not null ${further} order by ${columns} limit ${BATCH}`.execute(storage.read);
    for (const row of rows) {
      const old = Buffer.from(row.sealed as Uint8Array);
      if (sealedVersion(old) === master_keys.current) continue;
      const fresh = Buffer.from(seal(master_keys, context(row), unseal(master_keys, context(row), old)));
      const same = sql.join(
        order.map((key) => sql`${sql.ref(key)} = ${String(row[key])}`),
        sql` and `,
      );
      const changed = await storage.write((tx) =>
        sql`update ${name} set ${value} = ${fresh} where ${same} and ${value} = ${old} returning account_id`.execute(
          tx.db,
        ),
      );
      moved += changed.rows.length;
    }
    if (rows.length < BATCH) return moved;
    const last = rows.at(-1);
    after = order.map((key) => String(last?.[key]));
  }
}
