import { sql } from "kysely";
import { rowOf } from "../../storage/by-key.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { userLives } from "../lives.ts";
import type { Client } from "./client.ts";

/** Clients of strangers: of an account, and where they came from. */
export type Strangers = Pick<Client, "account_id" | "origin">;

/** So many agreements of one person keep strangers' clients, those that they made last: nobody alone fills an account. */
const KEEP = 20;
const LATER = rowOf(
  "consents n",
  { account_id: "c.account_id", user_id: "c.user_id" },
  "(n.granted_at, n.client_id) > (c.granted_at, c.client_id)",
);
const AMONG_THE_LAST = `(select count(*) from (select 1 ${LATER} limit ${KEEP}) later) < ${KEEP}`;
const KEEPS = `${AMONG_THE_LAST} and ${userLives("c.account_id", "c.user_id")}`;
/** SQL: nobody who lives has it among what they agreed to last. */
const UNKEPT = `(select 1 ${rowOf("consents c", { account_id: "clients.account_id", client_id: "clients.id" }, KEEPS)} limit 1) is null`;

/** The longest waiting of those that waited at `before` already, and that the account has neither set nor granted anything at. */
const longestWaiting = (db: Database, { account_id, origin }: Strangers, before: Instant) =>
  db
    .selectFrom("clients")
    .select(["id", "untried_since"])
    .where("account_id", "=", account_id)
    .where("origin", "=", origin)
    .where("untried_since", "<", before)
    .where("deleted_at", "is", null)
    .where("set_by_account", "is", null)
    .where(({ exists, not, selectFrom }) =>
      not(
        exists(
          selectFrom("grants")
            .select("grants.id")
            .whereRef("grants.account_id", "=", "clients.account_id")
            .whereRef("grants.client_id", "=", "clients.id"),
        ),
      ),
    )
    .orderBy("untried_since")
    .limit(1);

/** … that nobody keeps, and none that waits since before `from`: all that it passes by take a look at who agreed to them. */
const longestUnkept = (db: Database, of: Strangers, from: Instant, before: Instant) =>
  longestWaiting(db, of, before).where("untried_since", ">=", from).where(sql.raw<boolean>(UNKEPT));

/** After all instants that are written. */
const ANY = "9";

/** Since when those wait that give way: that nobody keeps, and where there is none of them, the others. */
export interface Since {
  readonly unkept: Instant;
  readonly kept: Instant;
}

/**
 * `from`: how far another look came. `held`: until this transaction ends; one that another holds is in use. @returns the first that
 * gives way, and how far this look came: all that wait since before `from` are kept.
 */
export async function selectUntried(
  db: Database,
  of: Strangers,
  from: Instant,
  { unkept, kept }: Since,
  held = false,
): Promise<{ readonly id: string | undefined; readonly from: Instant }> {
  const find = (query: ReturnType<typeof longestWaiting>) =>
    query.$if(held, (found) => found.forUpdate().skipLocked()).executeTakeFirst();
  const first = await find(longestUnkept(db, of, from, unkept));
  if (first) return { id: first.id, from: first.untried_since ?? from };
  // One that came just now gives way soon, and nobody misses it. Where one is held, that may be whom the room is for.
  if (!held && (await longestUnkept(db, of, unkept, ANY).executeTakeFirst())) return { id: undefined, from: unkept };
  return { id: (await find(longestWaiting(db, of, kept)))?.id, from: unkept };
}

/** Of a stranger's client that waits since before `before`. */
export async function updateTried(
  db: Database,
  { account_id, id }: Pick<Client, "account_id" | "id">,
  before: Instant,
  now: Instant,
): Promise<void> {
  await db
    .updateTable("clients")
    .set({ untried_since: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("untried_since", "<", before)
    .execute();
}
