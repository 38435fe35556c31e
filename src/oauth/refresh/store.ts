import { sql } from "kysely";
import { secretLives } from "../../directory/clients/secret-lives.ts";
import { isElsewhere } from "../../directory/grants/is-elsewhere.ts";
import { stillStands } from "../../directory/users/logins-ended.ts";
import { FOR_UPDATE } from "../../storage/row-locks.ts";
import { type Database, epoch, type Instant, instant, type Row } from "../../storage/storage.ts";
import { columns, type RefreshFamilies } from "../../storage/tables.ts";
import type { Family, Login } from "./family.ts";
import { familyLives } from "./family-lives.ts";

type StoredFamily = { readonly [K in keyof RefreshFamilies]: unknown };

const ALL = sql.raw(columns.refresh_families.join(", "));

/** Who holds its refresh tokens. */
export const holder = (f: string): string => `coalesce(${f}.holder_id, ${f}.client_id)`;

const ALIVE = familyLives("refresh_families");
const HOLDER = holder("refresh_families");

const listOf = (text: unknown): readonly string[] => JSON.parse(String(text));

const decode = (row: StoredFamily): Family =>
  ({
    ...row,
    ...decodeLogin(row),
    generation: Number(row.generation),
    grace_used: Number(row.grace_used),
  }) as Family;

/** Columns of a login that goes on. */
export const LOGIN =
  "id, client_id, user_id, grant_id, audience, scope, auth_time, amr, userinfo_claims, session_id, surface, created_at, provider";

export const decodeLogin = (row: Row): Login => ({
  id: String(row.id),
  client_id: String(row.client_id),
  user_id: String(row.user_id),
  grant_id: String(row.grant_id),
  audience: String(row.audience),
  scope: listOf(row.scope),
  auth_time: Number(row.auth_time),
  amr: listOf(row.amr),
  userinfo_claims: listOf(row.userinfo_claims),
  session_id: row.session_id as string | null,
  surface: row.surface as Login["surface"],
  created_at: row.created_at as Instant,
  provider: row.provider as string | null,
});

export async function selectFamily(db: Database, account_id: string, id: string): Promise<Family | undefined> {
  const row = await db
    .selectFrom("refresh_families")
    .select(columns.refresh_families)
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .executeTakeFirst();
  return row && decode(row);
}

/** How many families live at each audience like an account API that is not below this address, of all accounts. */
export async function selectAudiencesElsewhere(
  db: Database,
  public_url: string,
  now: Instant,
): Promise<readonly { readonly account_id: string; readonly audience: string; readonly logins: number }[]> {
  const rows = await db
    .selectFrom("refresh_families")
    .select(["account_id", "audience", sql<number>`count(*)`.as("logins")])
    .where("revoked_at", "is", null)
    .where("expires_at", ">", now)
    .where("idle_expires_at", ">", now)
    .where(isElsewhere(public_url))
    .groupBy(["account_id", "audience"])
    .execute();
  return rows.map((row) => ({ ...row, logins: Number(row.logins) }));
}

/** A family whose newest token would be taken now. */
export async function selectLiveFamily(
  db: Database,
  account_id: string,
  id: string,
  now: Instant,
): Promise<Family | undefined> {
  const { rows } = await sql<StoredFamily>`select ${ALL} from refresh_families
    where account_id = ${account_id} and id between ${id} and ${id}
      and (revoked_at is null and idle_expires_at > ${now} and expires_at > ${now} and ${sql.raw(ALIVE)}) is true
    order by id`.execute(db);
  return rows[0] && decode(rows[0]);
}

export interface Grace {
  readonly account_id: string;
  readonly id: string;
  /** Who shows the token; its uuid. */
  readonly client_id: string;
  /** The secret that the client showed; empty where it showed none. */
  readonly secret_id: string;
  readonly dpop_jkt: string | null;
  /** Of the token that is shown a second time. */
  readonly generation: number;
  readonly now: Instant;
  /** The rotation was no earlier. */
  readonly since: Instant;
}

const SHOWN = "(select secret_id from shown)";
const SHOWN_AT = "(select now from shown)";

/** The token before this one is answered once more, while its successor is unused. Found and changed as in `storage/by-key.ts`. */
export async function updateGrace(db: Database, grace: Grace): Promise<Family | undefined> {
  const { account_id, id, client_id, secret_id, dpop_jkt, generation, now, since } = grace;
  const may = sql`(${sql.raw(HOLDER)} = ${client_id} and refresh_families.generation = ${generation + 1}
      and refresh_families.grace_used = 0 and refresh_families.rotated_at >= ${since}
      and refresh_families.revoked_at is null and refresh_families.idle_expires_at > ${now}
      and refresh_families.expires_at > ${now}
      and (refresh_families.dpop_jkt is null or refresh_families.dpop_jkt = ${dpop_jkt}) and ${sql.raw(ALIVE)}
      and ${sql.raw(secretLives("refresh_families.account_id", HOLDER, SHOWN, SHOWN_AT))}) is true`;
  const { rows } =
    await sql<StoredFamily>`with shown (secret_id, now) as (select cast(${secret_id} as text), cast(${now} as text))
    insert into refresh_families (${ALL})
    select ${ALL} from refresh_families where account_id = ${account_id} and id between ${id} and ${id} and ${may} order by id
    ${FOR_UPDATE}
    on conflict (account_id, id) do update set grace_used = 1 where ${may}
    returning ${ALL}`.execute(db);
  return rows[0] && decode(rows[0]);
}

/** A token that was the newest of its family until it was used; its digest in hexadecimal. */
export interface Spent extends Pick<Family, "account_id" | "id" | "generation" | "key_version"> {
  readonly digest: string;
  /** It was used before, and this was to be its answer once more. */
  readonly again: boolean;
}

/**
 * No answer by its successor was given to this use. Where none was to the other one either, it is the newest again; without
 * the time of a rotation the token before it is answered no more.
 */
export async function updateUnspent(db: Database, spent: Spent): Promise<void> {
  const { account_id, id, generation, key_version, digest, again } = spent;
  const successor = db
    .updateTable("refresh_families")
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("generation", "=", generation + 1);
  const unanswered = again
    ? successor.set({ grace_used: 0 }).where("grace_used", "=", 1)
    : successor.set({ rotated_at: null }).where("rotated_at", "is not", null);
  if (!(await unanswered.returning("id").executeTakeFirst())) return;
  await successor
    .set({ generation, key_version, digest: Buffer.from(digest, "hex") })
    .where("rotated_at", "is", null)
    .where("grace_used", "=", 0)
    .execute();
}

/** Milliseconds for which an ended family keeps another from beginning under its name: no code and no device waits longer. */
const REMEMBERED = 86_400_000;

/**
 * Ends families. One that has not begun yet is written as ended: whoever is beginning it waits for this and finds it so, or was
 * first and is ended too.
 */
export async function upsertRevoked(
  db: Database,
  account_id: string,
  ids: readonly string[],
  now: Instant,
): Promise<void> {
  const over = instant(epoch(now) + REMEMBERED);
  const nobody = { client_id: "", user_id: "", grant_id: "", audience: "", scope: "[]", amr: "[]", auth_time: 0 };
  const token = { generation: 0, digest: Buffer.alloc(0), key_version: "" };
  const times = { created_at: now, idle_expires_at: over, expires_at: over, revoked_at: now };
  await db
    .insertInto("refresh_families")
    .values(ids.map((id) => ({ account_id, id, ...nobody, ...token, ...times })))
    .onConflict((conflict) =>
      conflict.columns(["account_id", "id"]).doUpdateSet({
        revoked_at: sql`coalesce(refresh_families.revoked_at, excluded.revoked_at)`,
      }),
    )
    .execute();
}

/** The ids of a person's families at a client that were not ended. */
export const selectFamiliesAt = (
  db: Database,
  { account_id, user_id, client_id }: Pick<Family, "account_id" | "user_id" | "client_id">,
) =>
  db
    .selectFrom("refresh_families")
    .select("id")
    .where("account_id", "=", account_id)
    .where("user_id", "=", user_id)
    .where("client_id", "=", client_id)
    .where("revoked_at", "is", null);

interface OthersOf extends Pick<Family, "account_id" | "user_id"> {
  /** The family that is left out; empty for none. */
  readonly except: string;
}

/** @returns the ids of a person's families that were not ended; in the order of their index, or the newest first. */
export async function selectUnrevoked(
  db: Database,
  { account_id, user_id, except }: OthersOf,
  order: "client_id" | "created_at desc",
  limit: number,
): Promise<readonly string[]> {
  const { rows } = await sql<{ id: string }>`select id from refresh_families
    where account_id = ${account_id} and user_id = ${user_id} and revoked_at is null and id <> ${except}
    order by ${sql.raw(order)} limit ${sql.lit(limit)}`.execute(db);
  return rows.map(({ id }) => id);
}

/** @returns the ids of families of a person that were not ended, and do not stand: their logins have ended. */
export async function selectWhichEnd(
  db: Database,
  { account_id, user_id }: Omit<OthersOf, "except">,
  limit: number,
): Promise<readonly string[]> {
  const stands = stillStands("u", "f.created_at", (sid) => `${sid} = f.id`);
  const { rows } = await sql<{ id: string }>`select f.id
    from refresh_families f join users u on u.account_id = f.account_id and u.id = f.user_id
    where f.account_id = ${account_id} and f.user_id = ${user_id} and f.revoked_at is null and not ${sql.raw(stands)}
    order by f.client_id limit ${sql.lit(limit)}`.execute(db);
  return rows.map(({ id }) => id);
}
