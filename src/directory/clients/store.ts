import { sql } from "kysely";
import { usableOf } from "../../secrets/public-key.ts";
import { markDeleted } from "../../storage/mark-deleted.ts";
import { inPages } from "../../storage/pages.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";
import type { Client } from "./client.ts";
import type { StoredSecret } from "./secret.ts";
import { type ClientSettings, clientSettings } from "./settings.ts";

interface StoredClient extends Omit<Client, "settings" | "origin" | "set_by_account"> {
  readonly settings: string;
  readonly origin: string;
  readonly set_by_account: string | null;
}

const decode = (row: StoredClient): Client => ({
  ...row,
  origin: row.origin as Client["origin"],
  settings: clientSettings(JSON.parse(row.settings) as Partial<ClientSettings>),
  set_by_account: namesOf(row.set_by_account),
});

const namesOf = (stored: string | null): readonly string[] => (stored === null ? [] : JSON.parse(stored));

/** Of keys only what is read of them: whoever looks a client up holds all of it. */
export function encode(settings: Partial<ClientSettings>): string {
  const { jwks } = settings;
  return JSON.stringify(jwks ? { ...settings, jwks: usableOf(jwks) } : settings);
}

/** By uuid or client_id; deleted ones are not found. */
export async function selectClient(db: Database, account_id: string, name: string): Promise<Client | undefined> {
  const row = await db
    .selectFrom("clients")
    .select(columns.clients)
    .where("account_id", "=", account_id)
    .where((eb) => eb.or([eb("id", "=", name), eb("client_id", "=", name)]))
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row && decode(row);
}

export async function selectDeleted(db: Database, account_id: string, client_id: string): Promise<boolean> {
  const row = await db
    .selectFrom("clients")
    .select("id")
    .where("account_id", "=", account_id)
    .where((eb) => eb.or([eb("id", "=", client_id), eb("client_id", "=", client_id)]))
    .where("deleted_at", "is not", null)
    .executeTakeFirst();
  return row !== undefined;
}

/** Clients that a page holds: their settings may be a hundred thousand characters each, and from before a limit more. */
const PAGE = 5;

/** Live clients of an account, the oldest first, of which no more than a page is held at a time. */
export function pagesOfClients(db: Database, account_id: string): AsyncIterable<readonly Client[]> {
  return inPages<Client>(PAGE, async (last) => {
    const rows = await db
      .selectFrom("clients")
      .select(columns.clients)
      .where("account_id", "=", account_id)
      .where("id", ">", last?.id ?? "")
      .where("deleted_at", "is", null)
      .orderBy("id")
      .limit(PAGE)
      .execute();
    return rows.map(decode);
  });
}

/** The oldest live client of the account's own that logs account users in; their index is for such settings, in these words. */
export async function selectStaffClient(db: Database, account_id: string): Promise<Client | undefined> {
  const row = await db
    .selectFrom("clients")
    .select(columns.clients)
    .where("account_id", "=", account_id)
    .where("origin", "=", "account")
    .where(sql<boolean>`settings like '%"first_party":true%' and settings like '%"user_type":"account_user"%'`)
    .where("deleted_at", "is", null)
    .orderBy("id")
    .limit(1)
    .executeTakeFirst();
  return row && decode(row);
}

interface ClientRow {
  readonly account_id: string;
  readonly id: string;
  readonly client_id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly settings: Partial<ClientSettings>;
  readonly origin: Client["origin"];
  readonly untried_since: Instant | null;
  readonly created_at: Instant;
  readonly created_by: string;
}

/** @returns undefined when the client_id is taken, be it by a deleted client. */
export async function insertClient(db: Database, client: ClientRow): Promise<Client | undefined> {
  const [row] = await db
    .insertInto("clients")
    .values({ ...client, settings: encode(client.settings), updated_at: client.created_at })
    .onConflict((conflict) => conflict.doNothing())
    .returning(columns.clients)
    .execute();
  return row && decode(row);
}

interface ClientUpdate {
  readonly name?: string | null;
  readonly description?: string | null;
  readonly settings: Partial<ClientSettings>;
  readonly set_by_account: readonly string[];
}

/** Of a client that is held. */
export async function updateClient(
  db: Database,
  account_id: string,
  id: string,
  { settings, set_by_account, ...fields }: ClientUpdate,
  now: Instant,
): Promise<void> {
  const names = set_by_account.length > 0 ? JSON.stringify(set_by_account) : null;
  await db
    .updateTable("clients")
    .set({ ...fields, settings: encode(settings), set_by_account: names, updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .execute();
}

/** What was set, without defaults, and by whom; undefined when the client is gone. */
export interface HeldSettings extends Pick<Client, "set_by_account"> {
  readonly stored: Partial<ClientSettings>;
}

/** Held until this transaction ends. */
export async function holdSettings(
  db: Database,
  account_id: string,
  id: string,
  now: Instant,
): Promise<HeldSettings | undefined> {
  const [row] = await db
    .updateTable("clients")
    .set({ updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning(["settings", "set_by_account"])
    .execute();
  return row && { stored: JSON.parse(row.settings), set_by_account: namesOf(row.set_by_account) };
}

/** Marks the client deleted and removes its secrets. @returns undefined when it was gone. */
export async function deleteClient(
  db: Database,
  account_id: string,
  id: string,
  deleted_by: string,
  now: Instant,
): Promise<Client | undefined> {
  const row = await markDeleted<StoredClient>(db, "clients", { account_id, id }, deleted_by, now);
  if (!row) return undefined;
  await deleteSecrets(db, account_id, id);
  return decode(row);
}

export async function deleteSecrets(db: Database, account_id: string, client_id: string): Promise<void> {
  await db
    .deleteFrom("client_secrets")
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .execute();
}

/** Of what the account did not make. @returns its client_id; undefined where nothing went. */
export async function deleteForGood(db: Database, account_id: string, id: string): Promise<string | undefined> {
  const [client] = await db
    .deleteFrom("clients")
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("origin", "!=", "account")
    .where((eb) => eb.or([eb("origin", "=", "dynamic"), eb("deleted_at", "is", null)]))
    .returning("client_id")
    .execute();
  if (!client) return undefined;
  for (const table of ["client_secrets", "grants"] as const)
    await db.deleteFrom(table).where("account_id", "=", account_id).where("client_id", "=", id).execute();
  return client.client_id;
}

export interface NewSecret extends StoredSecret {
  readonly account_id: string;
  /** The client's uuid. */
  readonly client_id: string;
}

export async function insertSecret(db: Database, secret: NewSecret): Promise<void> {
  const { digest, ...row } = secret;
  await db
    .insertInto("client_secrets")
    .values({ ...row, digest: Buffer.from(digest) })
    .execute();
}

/** Secrets that may be presented at `now`. */
export async function selectSecrets(
  db: Database,
  account_id: string,
  client_id: string,
  now: Instant,
): Promise<readonly StoredSecret[]> {
  const rows = await db
    .selectFrom("client_secrets")
    .select(["id", "algorithm", "digest", "created_at", "not_after", "last_used_at"])
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .where((eb) => eb.or([eb("not_after", "is", null), eb("not_after", ">", now)]))
    .orderBy("id", "desc")
    .execute();
  return rows as StoredSecret[];
}

/** Ends the secrets of a client that have no end before `not_after`; removes those that ended. */
export async function updateSecretsEnd(
  db: Database,
  account_id: string,
  client_id: string,
  not_after: Instant,
  now: Instant,
): Promise<void> {
  await db
    .updateTable("client_secrets")
    .set({ not_after })
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .where((eb) => eb.or([eb("not_after", "is", null), eb("not_after", ">", not_after)]))
    .execute();
  await db
    .deleteFrom("client_secrets")
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .where("not_after", "<=", now)
    .execute();
}

export async function updateSecretUsed(
  db: Database,
  account_id: string,
  client_id: string,
  id: string,
  now: Instant,
): Promise<void> {
  await db
    .updateTable("client_secrets")
    .set({ last_used_at: now })
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .where("id", "=", id)
    .execute();
}
