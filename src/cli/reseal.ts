import { sql } from "kysely";
import { seedContext } from "../authentication/mfa/seed.ts";
import { secretContext } from "../directory/grants/oidc-secret.ts";
import { type SealContext, seal, sealedVersion, unseal } from "../secrets/seal.ts";
import type { Core } from "../server.ts";
import { accountKeyContext } from "../tokens/keys/account-key.ts";
import { keyContext } from "../tokens/keys/key.ts";

type Row = Readonly<Record<string, unknown>> & { readonly account_id: string };

interface Sealed {
  readonly table: "account_keys" | "signing_keys" | "grants" | "factors";
  readonly column: string;
  /** Beside the account, what names a row. */
  readonly keys: readonly string[];
  readonly context: (row: Row) => SealContext;
}

const sealed: readonly Sealed[] = [
  {
    table: "account_keys",
    column: "sealed",
    keys: ["name"],
    context: (row) => accountKeyContext(row.account_id, String(row.name)),
  },
  {
    table: "signing_keys",
    column: "private_key",
    keys: ["kid"],
    context: (row) => keyContext(row.account_id, String(row.kid)),
  },
  {
    table: "grants",
    column: "oidc_client_secret",
    keys: ["id"],
    context: (row) => secretContext(row.account_id, String(row.id)),
  },
  {
    table: "factors",
    column: "seed",
    keys: ["user_id", "kind"],
    context: (row) => seedContext({ account_id: row.account_id, user_id: String(row.user_id) }),
  },
];

export interface Resealed {
  /** The newest master key. */
  readonly version: string;
  readonly moved: Readonly<Record<string, number>>;
  /** Logins whose refresh token is still derived from an older key. */
  readonly refresh_families: number;
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
  for (const kind of sealed) moved[`${kind.table}.${kind.column}`] = await resealTable({ storage, directory }, kind);
  const { rows } = await sql<{ n: number }>`select count(*) as n from refresh_families
    where key_version <> ${master_keys.current} and revoked_at is null`.execute(storage.read);
  return { version: master_keys.current, moved, refresh_families: Number(rows[0]?.n ?? 0) };
}

async function resealTable(
  { storage, directory }: Pick<Core, "storage" | "directory">,
  { table, column, keys, context }: Sealed,
): Promise<number> {
  const { master_keys } = directory;
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
