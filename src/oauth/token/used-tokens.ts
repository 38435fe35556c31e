import type { HotStatement, Instant } from "../../storage/storage.ts";

export interface UsedToken {
  readonly account_id: string;
  /** Its jti, behind what kind of token it is. */
  readonly id: string;
  readonly expires_at: Instant;
}

const columns = ["account_id", "id", "expires_at"] as const;

/** Says that a token was used, and whether that was the first time. */
export const useStatement: HotStatement<UsedToken, boolean> = {
  name: "use_token",
  source: import.meta.url,
  mode: { kind: "spending" },
  key: ({ account_id, id }) => `${account_id} ${id}`,
  sqlite: (db, used) =>
    db.run(
      "insert into used_tokens (account_id, id, expires_at) values (?, ?, ?) on conflict (account_id, id) do nothing",
      ...columns.map((column) => used[column]),
    ) === 1,
  postgres: {
    text: `with input as materialized (
        select * from unnest($1::text[], $2::text[], $3::text[]) with ordinality as input (${columns.join(", ")}, n)
      ),
      used as (
        insert into used_tokens (${columns.join(", ")})
        select ${columns.join(", ")} from input order by account_id, id
        on conflict (account_id, id) do nothing
        returning account_id, id
      )
      select u.id is not null as first
      from input i left join used u on u.account_id = i.account_id and u.id = i.id
      order by i.n`,
    parameters: (tokens) => columns.map((column) => tokens.map((token) => token[column])),
    answers: (rows) => rows.map(({ first }) => first === true),
  },
};
