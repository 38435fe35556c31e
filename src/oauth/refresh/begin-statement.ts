import type { HotStatement } from "../../storage/storage.ts";
import type { Family } from "./family.ts";

/** A family's row; its lists as JSON, its digest in hexadecimal. */
export interface NewFamily
  extends Pick<
    Family,
    | "account_id"
    | "id"
    | "client_id"
    | "user_id"
    | "grant_id"
    | "audience"
    | "auth_time"
    | "generation"
    | "key_version"
    | "dpop_jkt"
    | "created_at"
    | "idle_expires_at"
    | "expires_at"
  > {
  readonly scope: string;
  readonly amr: string;
  readonly userinfo_claims: string;
  readonly digest: string;
}

const columns = [
  ["account_id", "text"],
  ["id", "text"],
  ["client_id", "text"],
  ["user_id", "text"],
  ["grant_id", "text"],
  ["audience", "text"],
  ["scope", "text"],
  ["auth_time", "bigint"],
  ["amr", "text"],
  ["generation", "bigint"],
  ["digest", "text"],
  ["key_version", "text"],
  ["userinfo_claims", "text"],
  ["dpop_jkt", "text"],
  ["created_at", "text"],
  ["idle_expires_at", "text"],
  ["expires_at", "text"],
] as const;

const names = columns.map(([name]) => name);
/** The row's own values, where `digest` is the only one that is not written as it comes. */
const values = (digest: string, others: (name: string, index: number) => string) =>
  names.map((name, index) => (name === "digest" ? digest : others(name, index))).join(", ");
const DIGEST = names.indexOf("digest") + 1;

/** Begins a family, unless it has ended already; says whether it did. */
export const beginStatement: HotStatement<NewFamily, boolean> = {
  name: "begin_refresh_family",
  source: import.meta.url,
  mode: { kind: "spending" },
  key: ({ account_id, id }) => `${account_id} ${id}`,
  sqlite: (db, family) =>
    db.run(
      `insert into refresh_families (${names.join(", ")})
       values (${values(`unhex(?${DIGEST})`, (_, index) => `?${index + 1}`)})
       on conflict (account_id, id) do nothing`,
      ...names.map((name) => family[name]),
    ) === 1,
  postgres: {
    text: `with input as materialized (
        select * from unnest(${columns.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")})
          with ordinality as input (${names.join(", ")}, n)
      ),
      begun as (
        insert into refresh_families (${names.join(", ")})
        select ${values("decode(digest, 'hex')", (name) => name)} from input order by account_id, id
        on conflict (account_id, id) do nothing
        returning account_id, id
      )
      select b.id is not null as begun
      from input i left join begun b on b.account_id = i.account_id and b.id = i.id
      order by i.n`,
    parameters: (families) => names.map((name) => families.map((family) => family[name])),
    answers: (rows) => rows.map(({ begun }) => begun === true),
  },
};
