/**
 * A Latchkey whose database is out of reach for a while: the wire to PostgreSQL is cut, SQLite's file is held by
 * somebody else.
 */

import { sqlitePath } from "../../src/config.ts";
import { openSqliteFile } from "../../src/storage/sqlite/connection.ts";
import type { Engine } from "../../src/storage/storage.ts";
import { createTestDatabase } from "./engines.ts";
import { type Latchkey, type LatchkeyOptions, startLatchkey } from "./latchkey.ts";
import { openWire } from "./wire.ts";

export interface Breakable extends Latchkey {
  /** Nothing can be written any more; from SQLite it is still read. */
  cut(): void;
  mend(): void;
}

export function startBreakable(engine: Engine, options: LatchkeyOptions = {}): Promise<Breakable> {
  return engine === "sqlite" ? onFile(options) : onWire(options);
}

async function onFile(options: LatchkeyOptions): Promise<Breakable> {
  const latchkey = await startLatchkey("sqlite", options);
  const other = openSqliteFile(sqlitePath(latchkey.database.database_url));
  const close = async () => {
    other.close();
    await latchkey.close();
  };
  return { ...latchkey, cut: () => other.exec("begin immediate"), mend: () => other.exec("rollback"), close };
}

async function onWire(options: LatchkeyOptions): Promise<Breakable> {
  const database = await createTestDatabase("postgres");
  const url = new URL(database.database_url);
  const wire = await openWire(Number(url.port));
  url.port = String(wire.port);
  const latchkey = await startLatchkey("postgres", { ...options, database: { ...database, database_url: url.href } });
  const close = async () => {
    await latchkey.close();
    await wire.close();
  };
  return { ...latchkey, cut: wire.cut, mend: wire.mend, close };
}
