import { secretLives } from "../../directory/clients/secret-lives.ts";
import { inputOf } from "../../storage/set-form.ts";
import type { Database, HotStatement, Instant } from "../../storage/storage.ts";

export interface RedeemInput {
  readonly account_id: string;
  readonly code_id: string;
  readonly sid: string;
  /** uuid */
  readonly client_id: string;
  /** The secret that the client showed; empty where it showed none. */
  readonly secret_id: string;
  /** Empty where none is needed. */
  readonly grant_id: string;
  readonly user_id: string;
  readonly now: Instant;
  readonly expires_at: Instant;
}

export interface RedeemAnswer {
  /** Client, grant and user live. */
  readonly alive: boolean;
  /** This attempt, and no other, redeemed the code. */
  readonly redeemed: boolean;
}

const columns = [
  "account_id",
  "code_id",
  "sid",
  "client_id",
  "secret_id",
  "grant_id",
  "user_id",
  "now",
  "expires_at",
] as const;

/** Whether a code was redeemed, and is remembered. */
export async function selectRedeemed(db: Database, account_id: string, code_id: string): Promise<boolean> {
  const row = await db
    .selectFrom("redeemed_authorization_codes")
    .select("id")
    .where("account_id", "=", account_id)
    .where("id", "=", code_id)
    .executeTakeFirst();
  return row !== undefined;
}

/** Says that an authorization code was redeemed, if it was not yet and everybody concerned lives. */
export const redeemStatement: HotStatement<RedeemInput, RedeemAnswer> = {
  name: "redeem_authorization_code",
  source: import.meta.url,
  mode: { kind: "spending" },
  key: ({ account_id, code_id }) => `${account_id} ${code_id}`,
  sqlite(db, { account_id, code_id, sid, client_id, secret_id, grant_id, user_id, now, expires_at }) {
    const alive = db.all(
      `select 1 from live_clients c
       left join live_grants g on g.account_id = c.account_id and g.id = ?3 and g.client_id = c.id
       join live_users u on u.account_id = c.account_id and u.id = ?4
       where c.account_id = ?1 and c.id = ?2 and (?3 = '' or g.id is not null)
         and ${secretLives("?1", "?2", "?5", "?6")}`,
      account_id,
      client_id,
      grant_id,
      user_id,
      secret_id,
      now,
    );
    if (alive.length === 0) return { alive: false, redeemed: false };
    const inserted = db.run(
      `insert into redeemed_authorization_codes (account_id, id, sid, redeemed_at, expires_at) values (?, ?, ?, ?, ?)
       on conflict (account_id, id) do nothing`,
      account_id,
      code_id,
      sid,
      now,
      expires_at,
    );
    return { alive: true, redeemed: inserted === 1 };
  },
  postgres: {
    text: `with ${inputOf(columns.map((column) => [column, "text"]))},
      judged as materialized (
        select i.*, exists (
          select from live_clients c
          left join live_grants g on g.account_id = c.account_id and g.id = i.grant_id and g.client_id = c.id
          join live_users u on u.account_id = c.account_id and u.id = i.user_id
          where c.account_id = i.account_id and c.id = i.client_id and (i.grant_id = '' or g.id is not null)
            and ${secretLives("i.account_id", "i.client_id", "i.secret_id", "i.now")}
        ) as alive
        from input i
      ),
      redeemed as (
        insert into redeemed_authorization_codes (account_id, id, sid, redeemed_at, expires_at)
        select account_id, code_id, sid, now, expires_at from judged where alive order by account_id, code_id
        on conflict (account_id, id) do nothing
        returning account_id, id
      )
      select j.alive, r.id is not null as redeemed
      from judged j left join redeemed r on r.account_id = j.account_id and r.id = j.code_id
      order by j.n`,
    parameters: (inputs) => columns.map((column) => inputs.map((input) => input[column])),
    answers: (rows) => rows.map((row) => ({ alive: row.alive === true, redeemed: row.redeemed === true })),
  },
};
