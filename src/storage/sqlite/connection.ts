import { createRequire } from "node:module";
import type Libsql from "libsql";
import type { Row, SqliteConnection } from "../storage.ts";
import { bindAll, readValue } from "./bind.ts";

// The driver is CommonJS without an export map that TypeScript can follow.
const Database = createRequire(import.meta.url)("libsql") as typeof Libsql;

interface Prepared {
  readonly statement: Libsql.Statement;
  toRow(values: readonly unknown[]): Row;
}

/** Rows come as arrays and become objects here, at half the cost of the driver's own objects. */
function prepareIn(db: Libsql.Database, sql: string): Prepared {
  const statement = db.prepare(sql);
  const reads = (statement as unknown as { reader: boolean }).reader;
  const names = reads
    ? statement
        .raw(true)
        .columns()
        .map(({ name }) => name)
    : [];
  return {
    statement,
    toRow(values) {
      const row: Record<string, unknown> = {};
      for (let at = 0; at < names.length; at++) row[names[at] as string] = readValue(values[at]);
      return row;
    },
  };
}

export interface SqliteFile extends SqliteConnection {
  exec(sql: string): void;
  close(): void;
}

/** How many distinct statements stay prepared; hot and Kysely texts are far fewer. */
const PREPARED_LIMIT = 500;

/**
 * One connection to the file: prepared once per text, values through `bind`. `onQuery` sees every text that is executed.
 */
export function openSqliteFile(path: string, onQuery?: (sql: string) => void): SqliteFile {
  const db = new Database(path);
  // Before anything else: whoever just closes the file, or was killed on it, holds up its next user for a moment.
  db.exec("pragma busy_timeout = 5000");
  const prepared = new Map<string, Prepared>();
  // The driver's `get` neither rewinds nor binds a statement that `all` has used, and would answer the old rows.
  const preparedForOne = new Map<string, Prepared>();

  function prepare(sql: string, statements = prepared): Prepared {
    onQuery?.(sql);
    const known = statements.get(sql);
    if (known) return known;
    const statement = prepareIn(db, sql);
    if (statements.size >= PREPARED_LIMIT) statements.clear();
    statements.set(sql, statement);
    return statement;
  }

  return {
    all(sql, ...parameters) {
      const { statement, toRow } = prepare(sql);
      return (statement.all(bindAll(parameters)) as unknown[][]).map(toRow);
    },
    one(sql, ...parameters) {
      const { statement, toRow } = prepare(sql, preparedForOne);
      try {
        const values = statement.get(bindAll(parameters)) as unknown[] | undefined;
        return values && toRow(values);
      } catch (error) {
        // It may not have been rewound.
        preparedForOne.delete(sql);
        throw error;
      }
    },
    run(sql, ...parameters) {
      return prepare(sql).statement.run(bindAll(parameters)).changes;
    },
    exec(sql) {
      db.exec(sql);
    },
    close() {
      prepared.clear();
      preparedForOne.clear();
      db.close();
    },
  };
}
