import { sql } from "kysely";
import { inPages } from "../../storage/pages.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { clientLives } from "../lives.ts";
import type { Grant } from "./grant.ts";
import { isElsewhere } from "./is-elsewhere.ts";

const columns = [
  "account_id",
  "id",
  "client_id",
  "audience",
  "scope",
  "type",
  "oidc",
  "created_at",
  "created_by",
  "updated_at",
  "deleted_at",
  "deleted_by",
] as const;

type StoredGrant = Omit<Grant, "scope" | "oidc" | "type"> & { scope: string; oidc: string | null; type: string };

const decode = (row: StoredGrant): Grant => ({
  ...row,
  type: row.type as Grant["type"],
  scope: JSON.parse(row.scope) as string[],
  oidc: row.oidc === null ? null : (JSON.parse(row.oidc) as Grant["oidc"]),
});

export interface GrantFilter {
  readonly client_id?: string | undefined;
  /** Any of these, as they were written. */
  readonly audiences?: readonly string[] | undefined;
}

/** A grant lives no longer than its client. */
const ofLiveClient = sql.raw<boolean>(clientLives("grants.account_id", "grants.client_id"));

const liveGrants = (db: Database, account_id: string) =>
  db.selectFrom("grants").select(columns).where("account_id", "=", account_id).where("deleted_at", "is", null);

/** A filter that names a client saves the look whether that one lives: whoever names it has just found it. */
const matching = (db: Database, account_id: string, { client_id, audiences }: GrantFilter) =>
  liveGrants(db, account_id)
    .$if(client_id === undefined, (query) => query.where(ofLiveClient))
    .$if(client_id !== undefined, (query) => query.where("client_id", "=", client_id ?? ""))
    .$if(audiences !== undefined, (query) => query.where("audience", "in", audiences ?? []))
    .orderBy("id");

export async function selectGrants(db: Database, account_id: string, filter: GrantFilter): Promise<readonly Grant[]> {
  return (await matching(db, account_id, filter).execute()).map(decode);
}

/** Grants that a page holds: the scope of one may be forty thousand characters. */
const PAGE = 20;

/** The same, the oldest first, of which no more than a page is held at a time. */
export function pagesOfGrants(db: Database, account_id: string, filter: GrantFilter): AsyncIterable<readonly Grant[]> {
  return inPages<Grant>(PAGE, async (last) => {
    const further = matching(db, account_id, filter).where("id", ">", last?.id ?? "");
    return (await further.limit(PAGE).execute()).map(decode);
  });
}

/** A grant of any account, with its scope where it is for something like an account API at another address. */
export type Looked = Pick<Grant, "account_id" | "id" | "client_id" | "audience"> & {
  readonly scope: readonly string[] | null;
};

/** A page of them. */
const LOOKED = 100;

/** Live grants, of all accounts: pages of so many that are looked at, however few of them are at another address. */
export function pagesLookedAt(db: Database, public_url: string): AsyncIterable<readonly Looked[]> {
  const scope = sql<string | null>`case when ${isElsewhere(public_url)} and ${ofLiveClient} then scope end`;
  return inPages<Looked>(LOOKED, async (last) => {
    const rows = await db
      .selectFrom("grants")
      .select(["account_id", "id", "client_id", "audience", scope.as("scope")])
      .where(sql<boolean>`(account_id, id) > (${last?.account_id ?? ""}, ${last?.id ?? ""})`)
      // Within `is true` no index of the live ones fits it, by which SQLite would begin each page anew (by-key.ts).
      .where(sql<boolean>`(deleted_at is null) is true`)
      .orderBy("account_id")
      .orderBy("id")
      .limit(LOOKED)
      .execute();
    return rows.map((row) => ({ ...row, scope: row.scope === null ? null : (JSON.parse(row.scope) as string[]) }));
  });
}

/** What a client may hold. */
export type Holding = Pick<Grant, "account_id" | "client_id" | "audience">;

/** Those of these that clients do hold. */
export async function selectHeld(db: Database, asked: readonly Holding[]): Promise<readonly Holding[]> {
  if (asked.length === 0) return [];
  const rows = asked.map(({ account_id, client_id, audience }) => sql`(${account_id}, ${client_id}, ${audience})`);
  return db
    .selectFrom("grants")
    .select(["account_id", "client_id", "audience"])
    .where(sql<boolean>`(account_id, client_id, audience) in (values ${sql.join(rows)})`)
    .where("deleted_at", "is", null)
    .execute();
}

/** What grants for these audiences give that were made or changed at an instant or later; `limit` of them at most. */
export async function selectScopesSince(
  db: Database,
  account_id: string,
  audiences: readonly string[],
  since: Instant,
  limit: number,
): Promise<readonly { readonly scope: readonly string[] }[]> {
  if (audiences.length === 0) return [];
  const rows = await db
    .selectFrom("grants")
    .select("scope")
    .where("account_id", "=", account_id)
    .where("audience", "in", audiences)
    .where("updated_at", ">=", since)
    .where("deleted_at", "is", null)
    .limit(limit)
    .execute();
  return rows.map(({ scope }) => ({ scope: JSON.parse(scope) as string[] }));
}

export async function selectGrant(db: Database, account_id: string, id: string): Promise<Grant | undefined> {
  const row = await liveGrants(db, account_id).where("id", "=", id).where(ofLiveClient).executeTakeFirst();
  return row && decode(row);
}

export async function selectOidcSecret(db: Database, account_id: string, id: string): Promise<Uint8Array | undefined> {
  const row = await db
    .selectFrom("grants")
    .select("oidc_client_secret")
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row?.oidc_client_secret ?? undefined;
}

interface GrantRow extends Pick<Grant, "account_id" | "id" | "client_id" | "audience" | "scope" | "type" | "oidc"> {
  readonly oidc_client_secret: Uint8Array | null;
  readonly created_at: Instant;
  readonly created_by: string;
}

export async function insertGrant(db: Database, grant: GrantRow): Promise<void> {
  const { oidc_client_secret, oidc, scope, ...row } = grant;
  await db
    .insertInto("grants")
    .values({
      ...row,
      scope: JSON.stringify(scope),
      oidc: oidc && JSON.stringify(oidc),
      oidc_client_secret: oidc_client_secret && Buffer.from(oidc_client_secret),
      updated_at: grant.created_at,
    })
    .execute();
}

/** @returns false when the grant is gone. */
export async function updateScope(
  db: Database,
  account_id: string,
  id: string,
  scope: readonly string[],
  now: Instant,
): Promise<boolean> {
  const rows = await db
    .updateTable("grants")
    .set({ scope: JSON.stringify(scope), updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning("id")
    .execute();
  return rows.length === 1;
}

/** @returns undefined when the grant was gone. */
export async function deleteGrant(
  db: Database,
  account_id: string,
  id: string,
  deleted_by: string,
  now: Instant,
): Promise<Grant | undefined> {
  const row = await db
    .updateTable("grants")
    .set({ deleted_at: now, deleted_by, updated_at: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("deleted_at", "is", null)
    .returning(columns)
    .executeTakeFirst();
  return row && decode(row);
}
