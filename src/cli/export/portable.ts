/**
 * An account as a file, to move it to another server: every row it has, as stored. Secrets stay what they are in the database:
 * client secrets and passwords are digests, keys and seeds sealed under the master key, so the receiving server needs that key
 * among its own. Codes, sessions, messages and the audit trail stay behind.
 */
import type { Tables } from "../../storage/tables.ts";

/** In the order in which they are written. */
export const portable_tables = [
  "accounts",
  "connections",
  "roles",
  "clients",
  "client_secrets",
  "client_registrations",
  "grants",
  "users",
  "user_roles",
  "passwords",
  "usernames",
  "factors",
  "federated_identities",
  "refresh_families",
  "consents",
  "signing_keys",
  "account_keys",
  "revocations",
] as const satisfies readonly (keyof Tables)[];

export type PortableTable = (typeof portable_tables)[number];

/** Bytes are `{"base64": …}`. */
export type PortableValue = string | number | null | { readonly base64: string };
export type PortableRow = Readonly<Record<string, PortableValue>>;

export interface PortableAccount {
  readonly format: "latchkey-account/1";
  readonly account_id: string;
  readonly exported_at: string;
  /** Versions of the master key that something inside is sealed under. */
  readonly key_versions: readonly string[];
  readonly tables: Readonly<Record<PortableTable, readonly PortableRow[]>>;
}

/** Columns that hold sealed bytes. */
export const sealed_columns: readonly (readonly [PortableTable, string])[] = [
  ["signing_keys", "private_key"],
  ["account_keys", "sealed"],
  ["grants", "oidc_client_secret"],
  ["factors", "seed"],
];

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
