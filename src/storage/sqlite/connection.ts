import { createRequire } from "node:module";
import type Libsql from "libsql";
import type { Row, SqliteConnection } from "../storage.ts";
import { bindAll, readRow } from "./bind.ts";

// The driver is CommonJS without an export map that TypeScript can follow.
const Database = createRequire(import.meta.url)("libsql") as typeof Libsql;

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
  const prepared = new Map<string, Libsql.Statement>();

  function prepare(sql: string): Libsql.Statement {
    onQuery?.(sql);
    const known = prepared.get(sql);
    if (known) return known;
    const statement = db.prepare(sql);
    if (prepared.size >= PREPARED_LIMIT) prepared.clear();
    prepared.set(sql, statement);
    return statement;
  }

  return {
    all(sql, ...parameters) {
      return (prepare(sql).all(...bindAll(parameters)) as Record<string, unknown>[]).map(readRow) as Row[];
    },
    run(sql, ...parameters) {
      return prepare(sql).run(...bindAll(parameters)).changes;
    },
    exec(sql) {
      db.exec(sql);
    },
    close() {
      prepared.clear();
      db.close();
    },
  };
}
