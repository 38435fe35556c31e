import { rowOf } from "./by-key.ts";
import { setForm } from "./set-form.ts";
import type { Bindable, HotStatement } from "./storage.ts";

interface Named {
  readonly account_id: string;
  readonly id: string;
}

export interface InsertOnce<R> {
  readonly name: string;
  /** As in HotStatement. */
  readonly source: string;
  /** One whose primary key is account_id and id. */
  readonly table: string;
  /** Those of `bytea` come in hexadecimal. */
  readonly columns: { readonly [K in keyof R & string]: "text" | "bigint" | "bytea" };
  /** Another row of the account, by the column that names it: nothing is written unless it is `such`, as committed. */
  readonly holding?: {
    readonly table: string;
    readonly by: keyof R & string;
    /** SQL about that row; `given` says how a body names what it was asked. */
    readonly such: (held: string, given: (column: keyof R & string) => string) => string;
  };
}

/**
 * Writes a row, unless there is one of that name; says whether it did. Of any number at once exactly one is written.
 * A change to the row that it holds was committed before this, or waits for it.
 */
export function insertOnce<R extends Named & Readonly<Record<keyof R, Bindable>>>({
  name,
  source,
  table,
  columns,
  holding,
}: InsertOnce<R>): HotStatement<R, boolean> {
  const types = Object.entries(columns) as [keyof R & string, "text" | "bigint" | "bytea"][];
  const names = types.map(([column]) => column);
  const into = `insert into ${table} (${names.join(", ")})`;
  const form = setForm(
    names,
    names.filter((column) => columns[column] === "bigint"),
  );
  const { place, field } = form;
  const places = types.map(([column, type]) => (type === "bytea" ? `unhex(${place(column)})` : place(column)));
  const fields = types.map(([column, type]) => (type === "bytea" ? `decode(${column}, 'hex')` : column));
  const values = holding
    ? `select ${places.join(", ")} where exists (select 1 from ${holding.table} h
        where h.account_id = ${place("account_id")} and h.id = ${place(holding.by)} and ${holding.such("h", place)})`
    : `values (${places.join(", ")})`;
  const sqlite = `${into} ${values} on conflict (account_id, id) do nothing`;
  // By key, as everybody locks them who takes several.
  const held = holding
    ? `held as materialized (
        select i.* from (select * from input order by account_id, ${holding.by}) i
          cross join lateral (
            select ${rowOf(
              `${holding.table} h`,
              { account_id: "i.account_id", id: field(holding.by) },
              holding.such("h", field),
            )}
            for share of h
          ) held
      ),`
    : "";
  return {
    name,
    source,
    mode: { kind: "spending" },
    key: ({ account_id, id }) => `${account_id} ${id}`,
    sqlite: (db, row) => db.run(sqlite, ...form.values(row)) === 1,
    postgres: {
      text: `with ${form.input},
      ${held}
      written as (
        ${into} select ${fields.join(", ")} from ${holding ? "held" : "input"} order by account_id, id
        on conflict (account_id, id) do nothing
        returning account_id, id
      )
      select w.id is not null as written
      from input i left join written w on w.account_id = i.account_id and w.id = i.id
      order by i.n`,
      parameters: form.parameters,
      answers: (rows) => rows.map(({ written }) => written === true),
    },
  };
}
