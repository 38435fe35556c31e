import { sql } from "kysely";
import { FOR_UPDATE, SKIP_LOCKED } from "../../storage/row-locks.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { columns } from "../../storage/tables.ts";

export interface ConsentKey {
  readonly account_id: string;
  readonly user_id: string;
  /** The client's uuid. */
  readonly client_id: string;
  /** In one spelling; empty for userinfo alone. */
  readonly audience: string;
}

export async function selectConsent(
  db: Database,
  key: ConsentKey,
): Promise<Pick<StoredConsent, "scope" | "host"> | undefined> {
  const row = await db
    .selectFrom("consents")
    .select(["scope", "host"])
    .where("account_id", "=", key.account_id)
    .where("user_id", "=", key.user_id)
    .where("client_id", "=", key.client_id)
    .where("audience", "=", key.audience)
    .executeTakeFirst();
  return row && { host: row.host, scope: JSON.parse(row.scope) as string[] };
}

/** So many scopes of an agreement are remembered: two grants full of them. */
const MOST_SCOPES = 400;
/** Bytes of all that one person agreed to at one client, as the grants of a client have no more. */
const MOST_BYTES = 100_000;

/**
 * Adds to what was agreed to at this host, of which the oldest is forgotten where it is very much; what was agreed to
 * at another is forgotten, but for no host, as at a device, where a person is asked each time. The row is held first,
 * so that of several who add, or take back, none undoes what another did.
 */
export async function addConsent(db: Database, { scope, host, granted_at, ...key }: StoredConsent): Promise<void> {
  const unique = ["account_id", "user_id", "client_id", "audience"] as const;
  const held = await db
    .insertInto("consents")
    .values({ ...key, scope: "[]", host, granted_at })
    .onConflict((conflict) => conflict.columns(unique).doUpdateSet({ granted_at }))
    .returning(["scope", "host"])
    .executeTakeFirstOrThrow();
  if (host === "" && held.host !== "") return;
  const before = held.host === host ? (JSON.parse(held.scope) as string[]) : [];
  const again = new Set(scope);
  const all = [...before.filter((one) => !again.has(one)), ...again].slice(-MOST_SCOPES);
  await db
    .updateTable("consents")
    .set({ scope: JSON.stringify(all), host })
    .where("account_id", "=", key.account_id)
    .where("user_id", "=", key.user_id)
    .where("client_id", "=", key.client_id)
    .where("audience", "=", key.audience)
    .execute();
}

/**
 * Forgets what a person agreed to at a client before this, the oldest, where that is very much together. It waits for
 * nobody who agrees at the same moment: what they agree to is new.
 */
export async function forgetOldest(
  db: Database,
  { account_id, user_id, client_id, audience }: ConsentKey,
): Promise<void> {
  const whole = sql`account_id = ${account_id} and user_id = ${user_id} and client_id = ${client_id}`;
  await sql`delete from consents where ${whole} and audience in (
    with sized as (
      select audience, sum(octet_length(scope)) over (order by granted_at desc, audience) as bytes
      from consents where ${whole}
    ), oldest as materialized (
      select audience from consents where ${whole} and audience <> ${audience}
        and audience in (select audience from sized where bytes > ${sql.lit(MOST_BYTES)})
        ${FOR_UPDATE} ${SKIP_LOCKED}
    ) select audience from oldest)`.execute(db);
}

export interface StoredConsent extends ConsentKey {
  readonly scope: readonly string[];
  /** As in Agreement. */
  readonly host: string;
  readonly granted_at: Instant;
}

/** What a person agreed to; what comes after one. */
export async function selectConsents(
  db: Database,
  account_id: string,
  user_id: string,
  after: Pick<StoredConsent, "client_id" | "audience"> | undefined,
  limit: number,
): Promise<readonly StoredConsent[]> {
  const rows = await db
    .selectFrom("consents")
    .select(columns.consents)
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .$if(after !== undefined, (query) =>
      query.where((eb) =>
        eb(eb.refTuple("client_id", "audience"), ">", eb.tuple(after?.client_id ?? "", after?.audience ?? "")),
      ),
    )
    .orderBy("client_id")
    .orderBy("audience")
    .limit(limit)
    .execute();
  return rows.map((row) => ({ ...row, scope: JSON.parse(row.scope) as string[] }));
}

/** What a person agreed to at clients that live, newest first; scopes that take more than `told` bytes are null. */
export async function selectNewestConsents(
  db: Database,
  account_id: string,
  user_id: string,
  told: number,
): Promise<readonly NewestConsent[]> {
  const rows = await db
    .selectFrom("consents")
    .select(["client_id", "audience"])
    // Neither engine reads a long text to tell how long it is.
    .select(sql<string | null>`case when octet_length(scope) <= ${sql.lit(told)} then scope end`.as("scope"))
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom("live_clients")
          .select("live_clients.id")
          .whereRef("live_clients.account_id", "=", "consents.account_id")
          .whereRef("live_clients.id", "=", "consents.client_id"),
      ),
    )
    .orderBy("granted_at", "desc")
    .limit(200)
    .execute();
  return rows.map((row) => ({ ...row, scope: row.scope === null ? null : (JSON.parse(row.scope) as string[]) }));
}

export interface NewestConsent extends Pick<ConsentKey, "client_id" | "audience"> {
  readonly scope: readonly string[] | null;
}

/** Whether one of these people agreed to a client; where a host is given, at that. */
export async function selectAgreed(
  db: Database,
  account_id: string,
  user_ids: readonly string[],
  client_id: string,
  host?: string,
): Promise<boolean> {
  if (user_ids.length === 0) return false;
  const row = await db
    .selectFrom("consents")
    .select("audience")
    .where("account_id", "=", account_id)
    .where("user_id", "in", user_ids)
    .where("client_id", "=", client_id)
    .$if(host !== undefined, (query) => query.where("host", "=", host ?? ""))
    .limit(1)
    .executeTakeFirst();
  return row !== undefined;
}

/** @returns false when there was none. */
export async function deleteConsents(
  db: Database,
  account_id: string,
  user_id: string,
  client_id: string,
): Promise<boolean> {
  const rows = await db
    .deleteFrom("consents")
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("client_id", "=", client_id)
    .returning("audience")
    .execute();
  return rows.length > 0;
}

/** Of everybody at one client, each held by key, as everybody holds them who takes several. @returns how many went. */
export async function deleteConsentsAt(
  db: Database,
  account_id: string,
  client_id: string,
  limit: number,
): Promise<number> {
  const whole = sql`account_id = ${account_id} and client_id = ${client_id}`;
  const { numAffectedRows } = await sql`delete from consents where ${whole} and (user_id, audience) in (
    with page as materialized (
      select user_id, audience from consents where ${whole} order by user_id, audience limit ${sql.lit(limit)} ${FOR_UPDATE}
    ) select user_id, audience from page)`.execute(db);
  return Number(numAffectedRows);
}
