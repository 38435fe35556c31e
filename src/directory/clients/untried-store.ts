import { sql } from "kysely";
import { rowOf } from "../../storage/by-key.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { userLives } from "../lives.ts";
import type { Client } from "./client.ts";

/** Clients of strangers: of an account, and where they came from. */
export type Strangers = Pick<Client, "account_id" | "origin">;

export interface Untried extends Pick<Client, "id"> {
  readonly untried_since: Instant;
}

/** So many agreements of one person keep strangers' clients, those that they made last: nobody alone fills an account. */
const KEEP = 20;
const LATER = rowOf(
  "consents n",
  { account_id: "c.account_id", user_id: "c.user_id" },
  "(n.granted_at, n.client_id) > (c.granted_at, c.client_id)",
);
const AMONG_THE_LAST = `(select count(*) from (select 1 ${LATER} limit ${KEEP}) later) < ${KEEP}`;
const KEEPS = `${AMONG_THE_LAST} and ${userLives("c.account_id", "c.user_id")}`;
/** SQL: not null where somebody who lives has it among what they agreed to last. */
const KEPT = `(select 1 ${rowOf("consents c", { account_id: "clients.account_id", client_id: "clients.id" }, KEEPS)} limit 1)`;

/** Those that the account has neither set nor granted anything at, the longest unused first. */
const untried = (db: Database, { account_id, origin }: Strangers) =>
  db
    .selectFrom("clients")
    .select(["id", "untried_since"])
    .$narrowType<Untried>()
    .where("account_id", "=", account_id)
    .where("origin", "=", origin)
    .where("untried_since", "is not", null)
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
    .orderBy("untried_since");

/** Those that nobody keeps, used since `from` and `before`. All that it passes by take a look at who agreed to them. */
export function selectUnkept(
  db: Database,
  of: Strangers,
  from: Instant,
  before: Instant,
  limit: number,
): Promise<readonly Untried[]> {
  return untried(db, of)
    .where("untried_since", ">=", from)
    .where("untried_since", "<", before)
    .where(sql.raw<boolean>(`${KEPT} is null`))
    .limit(limit)
    .execute();
}

/** The longest unused that somebody keeps and nobody has used since `before`. */
export function selectKept(db: Database, of: Strangers, before: Instant): Promise<Untried | undefined> {
  return untried(db, of)
    .where("untried_since", "<", before)
    .where(sql.raw<boolean>(`${KEPT} is not null`))
    .limit(1)
    .executeTakeFirst();
}

/** Until this transaction ends. @returns false where it was used meanwhile, or the account set something at it. */
export async function holdUnused(db: Database, of: Strangers, { id, untried_since }: Untried): Promise<boolean> {
  const held = untried(db, of).where("id", "=", id).where("untried_since", "=", untried_since);
  return (await held.forUpdate().execute()).length === 1;
}

/** Of a stranger's client. */
export async function updateTried(
  db: Database,
  { account_id, id }: Pick<Client, "account_id" | "id">,
  now: Instant,
): Promise<void> {
  await db
    .updateTable("clients")
    .set({ untried_since: now })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("untried_since", "<", now)
    .execute();
}
