/**
 * An account as a file, to move it to another server: every row it has, as stored. Secrets stay what they are in the database:
 * client secrets and passwords are digests, keys and seeds sealed under the master key, so the receiving server needs that key
 * among its own. Codes, sessions, messages and the audit trail stay behind.
 */
import { type Static, Type } from "typebox";
import type { Tables } from "../../storage/tables.ts";

/** What names a row of each table within its account, in the order in which tables are written. */
export const portable_keys = {
  accounts: ["account_id"],
  connections: ["name"],
  roles: ["id"],
  clients: ["id"],
  client_secrets: ["client_id", "id"],
  client_registrations: ["client_id"],
  grants: ["id"],
  users: ["id"],
  user_roles: ["user_id", "role_id"],
  passwords: ["user_id", "kind"],
  usernames: ["id"],
  factors: ["user_id", "kind"],
  federated_identities: ["issuer", "subject"],
  refresh_families: ["id"],
  consents: ["user_id", "client_id", "audience"],
  signing_keys: ["kid"],
  account_keys: ["name"],
  revocations: ["subject"],
} as const satisfies { readonly [T in keyof Tables]?: readonly (keyof Tables[T])[] };

export type PortableTable = keyof typeof portable_keys;

export const portable_tables = Object.keys(portable_keys) as readonly PortableTable[];

/** The first line of a file with one row a line; the first line of any other JSON is another. */
export const BEGINNING = '{"format":"latchkey-account/1",';

const PortableRow = Type.Record(
  Type.String(),
  Type.Union([
    Type.String(),
    Type.Integer(),
    Type.Null(),
    Type.Object({ base64: Type.String() }, { additionalProperties: false, description: "Bytes." }),
  ]),
);
export type PortableRow = Readonly<Static<typeof PortableRow>>;

export const PortableAccount = Type.Object(
  {
    format: Type.Literal("latchkey-account/1"),
    account_id: Type.String(),
    exported_at: Type.String(),
    key_versions: Type.Array(Type.String(), {
      description: "Versions of the master key that something inside is sealed under.",
    }),
    tables: Type.Object(
      Object.fromEntries(portable_tables.map((table) => [table, Type.Array(PortableRow)])) as Record<
        PortableTable,
        ReturnType<typeof Type.Array<typeof PortableRow>>
      >,
      { additionalProperties: false },
    ),
  },
  { additionalProperties: false },
);
export type PortableAccount = Static<typeof PortableAccount>;

/** How many rows of each table it holds. */
export const rowsOf = ({ tables }: PortableAccount): Readonly<Record<string, number>> =>
  Object.fromEntries(Object.entries(tables).map(([table, rows]) => [table, rows.length]));

export function encodeRow(row: Readonly<Record<string, unknown>>): PortableRow {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      value instanceof Uint8Array
        ? { base64: Buffer.from(value).toString("base64") }
        : (value as string | number | null),
    ]),
  );
}

export function decodeRow(row: PortableRow): Record<string, string | number | null | Uint8Array> {
  return Object.fromEntries(
    Object.entries(row).map(([name, value]) => [
      name,
      typeof value === "object" && value !== null ? Buffer.from(value.base64, "base64") : value,
    ]),
  );
}
