import type { SqliteFile } from "./connection.ts";

/** Rows in every table, as far as the planner is told. */
const ROWS = 10_000_000;
const ROWS_AN_ACCOUNT = 100_000;
/** Rows that are equal in one column more than the account, or in any other column that an index begins with. */
const EQUAL = 10;

/**
 * Tells SQLite's planner what every index is worth, in the place where it keeps what it measured (`sqlite_stat1`): many
 * rows in each account, few that are equal in more than that. Left to itself it takes an account for ten rows, and
 * reads all of them where an index leads to one. Nothing is measured, so plans are the same for everybody and never
 * change. Connections opened later know it.
 */
export function describeTables(file: SqliteFile): void {
  // Makes the table of statistics; there is no other way to.
  file.exec("analyze migrations; delete from sqlite_stat1");
  const tables = file.all("select name from sqlite_schema where type = 'table' and sql like '%primary key%'");
  for (const { name: table } of tables) {
    for (const { name, unique, origin } of file.all(`pragma index_list('${String(table)}')`)) {
      const columns = file.all(`pragma index_info('${String(name)}')`).map((row) => row.name);
      const equal = columns.map((column, place) => {
        if (unique === 1 && place === columns.length - 1) return 1;
        return column === "account_id" ? ROWS_AN_ACCOUNT : EQUAL;
      });
      // A table that is kept in its key has no other name for it.
      const index = origin === "pk" ? table : name;
      const facts = [table, index, [ROWS, ...equal].join(" ")].map(String);
      file.run("insert into sqlite_stat1 (tbl, idx, stat) values (?, ?, ?)", ...facts);
    }
  }
}
