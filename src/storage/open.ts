import { isSqlite, sqlitePath } from "../config.ts";
import type { EngineStorage, Storage } from "./storage.ts";

export interface OpenOptions {
  /** `sqlite:./path/to/file.db` or `postgres://…` */
  readonly database_url: string;
  /** True for a server: SQLite then belongs to this process alone, beside short-lived commands. */
  readonly exclusive?: boolean;
  /** Refuses `write` functions that wait for anything but their transaction. On in tests. */
  readonly strict?: boolean;
  /** Sees the text of every statement executed. */
  readonly onQuery?: (sql: string) => void;
}

/** @throws when the database cannot be opened; the message names the remedy. */
export async function openStorage(options: OpenOptions): Promise<Storage> {
  const strict = options.strict ?? false;
  const watch = options.onQuery ? { onQuery: options.onQuery } : {};
  if (isSqlite(options.database_url)) {
    const { openSqlite } = await import("./sqlite/open-sqlite.ts");
    const path = sqlitePath(options.database_url);
    return completed(openSqlite({ path, exclusive: options.exclusive ?? false, strict, ...watch }));
  }
  const { openPostgres } = await import("./postgres/open-postgres.ts");
  return completed(await openPostgres({ url: options.database_url, strict, ...watch }));
}

/** What an engine need not know: acts that wait for the disk, and that closing again waits for the first close. */
function completed(storage: EngineStorage): Storage {
  let closed: Promise<void> | undefined;
  return {
    ...storage,
    async write(work) {
      let acts: (() => void)[] = [];
      const value = await storage.write(({ db, hot }) => {
        // A run that lost against another transaction was not committed: its acts are not done.
        const due: typeof acts = [];
        acts = due;
        return work({ db, hot, onDisk: (act) => void due.push(act) });
      });
      for (const act of acts) act();
      return value;
    },
    close() {
      closed ??= storage.close();
      return closed;
    },
  };
}
