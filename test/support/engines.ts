/**
 * Both engines, for every test that stores anything: a fresh SQLite file, and a fresh clone of a migrated PostgreSQL
 * database. Nothing is shared between two calls.
 */
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, inject } from "vitest";
import { migrate } from "../../src/storage/migrate.ts";
import { openStorage } from "../../src/storage/open.ts";
import type { Engine, Storage } from "../../src/storage/storage.ts";
import { admin } from "./global-setup.ts";

const both: readonly Engine[] = ["sqlite", "postgres"];
/** `ENGINES=postgres` leaves the other one out. */
export const engines = both.filter((engine) => (process.env.ENGINES ?? both.join()).includes(engine));

export interface TestDatabase {
  readonly engine: Engine;
  readonly database_url: string;
  /** Removes the database; storages on it must be closed. */
  drop(): Promise<void>;
}

export interface TestStorage {
  readonly storage: Storage;
  readonly database_url: string;
  close(): Promise<void>;
}

export function describeOnBothEngines(name: string, suite: (engine: Engine) => void): void {
  for (const engine of engines) describe(`${name} (${engine})`, () => suite(engine));
}

/** A migrated, empty database. */
export async function createTestDatabase(engine: Engine): Promise<TestDatabase> {
  if (engine === "sqlite") {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-test-"));
    const database_url = `sqlite:${join(folder, "latchkey.db")}`;
    await migrate(database_url);
    return { engine, database_url, drop: async () => rmSync(folder, { recursive: true, force: true }) };
  }
  const url = inject("postgres_url");
  const name = `latchkey_${randomUUID().replaceAll("-", "")}`;
  await admin(url, `create database ${name} template ${inject("postgres_template")}`);
  return {
    engine,
    database_url: url.replace(/\/[^/]*$/, `/${name}`),
    drop: () => admin(url, `drop database if exists ${name} with (force)`),
  };
}

export async function openTestStorage(engine: Engine, onQuery?: (sql: string) => void): Promise<TestStorage> {
  const database = await createTestDatabase(engine);
  const storage = await openStorage({
    database_url: database.database_url,
    strict: true,
    ...(onQuery ? { onQuery } : {}),
  });
  return {
    storage,
    database_url: database.database_url,
    close: async () => {
      await storage.close();
      await database.drop();
    },
  };
}
