/**
 * A row found by its whole key, whatever the planner believes of its table. Where an account seems to have one row, as on a table
 * without statistics or where most accounts have one, PostgreSQL takes each index that begins with the account for as good as the
 * key's, and reads all of the account's rows. So the last column is given as a range and asked for in its order, which no other
 * index has without a sort. What is asked besides stands within `is true`, where no partial index fits it.
 */
import { columns } from "./tables.ts";

type Key = Readonly<Record<string, string>>;

/**
 * SQL, from `from` to `order by`: the row of a table, which may have a shorter name behind it (`users u`), by the columns of an
 * index that begins with them. It is no part of a join: within `lateral` or a scalar subquery.
 */
export function rowOf(table: string, key: Key, such?: string): string {
  const name = table.split(" ").at(-1);
  const columns = Object.keys(key);
  const equal = columns.map((column, index) =>
    index === columns.length - 1
      ? `${name}.${column} between ${key[column]} and ${key[column]}`
      : `${name}.${column} = ${key[column]}`,
  );
  const besides = such === undefined ? [] : [`(${such}) is true`];
  return `from ${table} where ${[...equal, ...besides].join(" and ")} order by ${name}.${columns.at(-1)}`;
}

/** SQL: there is the row of that key, and it is such. */
export const rowIs = (table: string, key: Key, such = "true"): string =>
  `((select ${such} ${rowOf(table, key)}) is true)`;

/**
 * SQL for PostgreSQL: changes rows that this statement has found and holds, `row` of `from`. An update would join its table as the
 * planner likes; written once more, each row meets itself by its key. It names the columns that this version knows: one that a
 * migration adds beside it may be null, or has a default.
 */
export function rewrite(table: keyof typeof columns, row: string, from: string, values: Key): string {
  const names = columns[table];
  return `insert into ${table} (${names.join(", ")})
    select ${names.map((name) => values[name] ?? `${row}.${name}`).join(", ")} from ${from}
    on conflict (account_id, id) do update set ${Object.keys(values)
      .map((name) => `${name} = excluded.${name}`)
      .join(", ")}`;
}
