import type { UserType } from "../../directory/clients/client.ts";
import { secretLives } from "../../directory/clients/secret-lives.ts";
import { allLive } from "../../directory/lives.ts";
import { loginStands } from "../../directory/users/logins-ended.ts";
import { rowIs, rowOf } from "../../storage/by-key.ts";
import { hotSource } from "../../storage/hot-sources.ts";
import { setForm } from "../../storage/set-form.ts";
import type { Database, HotStatement, Instant } from "../../storage/storage.ts";
import { familyEnded } from "../refresh/family-ended.ts";

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
  /** The one that the client logs in. */
  readonly user_type: UserType;
  /** When the login began. */
  readonly began_at: Instant;
  readonly now: Instant;
  readonly expires_at: Instant;
}

export interface RedeemAnswer {
  /** Client, secret, grant and user live, the user of that type, and nothing has ended the login. */
  readonly alive: boolean;
  /** This attempt, and no other, redeemed the code. */
  readonly redeemed: boolean;
  /** JSON: what the grant holds now; null where none is needed. */
  readonly scope: string | null;
}

/** Who and what has to live, and when. */
const concerned = [
  ...(["account_id", "client_id", "secret_id", "grant_id", "user_id", "user_type", "sid"] as const),
  ...(["began_at", "now"] as const),
] as const;

const form = setForm([...concerned, "code_id", "expires_at"]);

const lives = (named: (column: (typeof concerned)[number]) => string): string =>
  `${allLive(named)}
    and ${secretLives(named("account_id"), named("client_id"), named("secret_id"), named("now"))}
    and ${rowIs(
      "users u",
      { account_id: named("account_id"), id: named("user_id") },
      `u.type = ${named("user_type")} and ${loginStands("u", named("began_at"))}`,
    )}
    and not ${familyEnded(named("account_id"), named("sid"))}`;

const holds = (named: (column: (typeof concerned)[number]) => string): string =>
  `(select g.scope ${rowOf("live_grants g", { account_id: named("account_id"), id: named("grant_id") })})`;

const SQLITE_LIVES = `select ${holds(form.place)} as scope where ${lives(form.place)}`;

/** When a code was redeemed that is remembered. */
export async function selectRedeemed(db: Database, account_id: string, code_id: string): Promise<Instant | undefined> {
  const row = await db
    .selectFrom("redeemed_authorization_codes")
    .select("redeemed_at")
    .where("account_id", "=", account_id)
    .where("id", "=", code_id)
    .executeTakeFirst();
  return row?.redeemed_at;
}

/**
 * Says that an authorization code was redeemed, if it was not yet, everybody concerned lives and nothing has ended its login:
 * as committed, whatever this process has heard of revocations.
 */
export const redeemStatement: HotStatement<RedeemInput, RedeemAnswer> = {
  name: "redeem_authorization_code",
  source: hotSource(import.meta.url),
  mode: { kind: "spending" },
  key: ({ account_id, code_id }) => `${account_id} ${code_id}`,
  sqlite(db, input) {
    const alive = db.one(SQLITE_LIVES, ...concerned.map((column) => input[column]));
    if (!alive) return { alive: false, redeemed: false, scope: null };
    const { account_id, code_id, sid, now, expires_at } = input;
    const inserted = db.run(
      `insert into redeemed_authorization_codes (account_id, id, sid, redeemed_at, expires_at) values (?, ?, ?, ?, ?)
       on conflict (account_id, id) do nothing`,
      account_id,
      code_id,
      sid,
      now,
      expires_at,
    );
    return { alive: true, redeemed: inserted === 1, scope: alive.scope as string | null };
  },
  postgres: {
    text: `with ${form.input},
      judged as materialized (
        select i.*, ${lives(form.field)} as alive, ${holds(form.field)} as scope
        from input i
      ),
      redeemed as (
        insert into redeemed_authorization_codes (account_id, id, sid, redeemed_at, expires_at)
        select account_id, code_id, sid, now, expires_at from judged where alive order by account_id, code_id
        on conflict (account_id, id) do nothing
        returning account_id, id
      )
      select j.alive, j.scope, r.id is not null as redeemed
      from judged j left join redeemed r on r.account_id = j.account_id and r.id = j.code_id
      order by j.n`,
    parameters: form.parameters,
    answers: (rows) =>
      rows.map(({ alive, redeemed, scope }) => ({
        alive: alive === true,
        redeemed: redeemed === true,
        scope: scope as string | null,
      })),
  },
};
