import { inputOf } from "./set-form.ts";
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
}

/** Writes a row, unless there is one of that name; says whether it did. Of any number at once exactly one is written. */
export function insertOnce<R extends Named & Readonly<Record<keyof R, Bindable>>>({
  name,
  source,
  table,
  columns,
}: InsertOnce<R>): HotStatement<R, boolean> {
  const types = Object.entries(columns) as [keyof R & string, "text" | "bigint" | "bytea"][];
  const names = types.map(([column]) => column);
  const into = `insert into ${table} (${names.join(", ")})`;
  const places = types.map(([, type], index) => (type === "bytea" ? `unhex(?${index + 1})` : `?${index + 1}`));
  const fields = types.map(([column, type]) => (type === "bytea" ? `decode(${column}, 'hex')` : column));
  const sqlite = `${into} values (${places.join(", ")}) on conflict (account_id, id) do nothing`;
  return {
    name,
    source,
    mode: { kind: "spending" },
    key: ({ account_id, id }) => `${account_id} ${id}`,
    sqlite: (db, row) => db.run(sqlite, ...names.map((column) => row[column])) === 1,
    postgres: {
      text: `with ${inputOf(types.map(([column, type]) => [column, type === "bytea" ? "text" : type]))},
      written as (
        ${into} select ${fields.join(", ")} from input order by account_id, id
        on conflict (account_id, id) do nothing
        returning account_id, id
      )
      select w.id is not null as written
      from input i left join written w on w.account_id = i.account_id and w.id = i.id
      order by i.n`,
      parameters: (rows) => names.map((column) => rows.map((row) => row[column])),
      answers: (rows) => rows.map(({ written }) => written === true),
    },
  };
}
