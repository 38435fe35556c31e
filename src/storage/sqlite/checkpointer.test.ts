import { closeSync, copyFileSync, mkdtempSync, openSync, readSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { takeStatement } from "../../limits/store.ts";
import { migrate } from "../migrate.ts";
import { openStorage } from "../open.ts";
import type { Storage } from "../storage.ts";
import { openCheckpointer } from "./checkpointer.ts";
import { openSqliteFile } from "./connection.ts";

describe("the log of a server", () => {
  let folder: string;
  let path: string;
  let storage: Storage;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-"));
    path = join(folder, "test.db");
    await migrate(`sqlite:${path}`);
    storage = await openStorage({ database_url: `sqlite:${path}`, exclusive: true, strict: true });
  });
  afterEach(async () => {
    await storage.close();
    rmSync(folder, { recursive: true });
  });

  /** So many subjects, counted once each. */
  const write = async (from: number, count: number) => {
    const charges = Array.from({ length: count }, (_, n) => ({
      charge: { account_id: "T00000001", budget: "send_client", subject: `${from + n}` } as const,
      now: Date.now(),
    }));
    await Promise.all(charges.map((charge) => storage.hot(takeStatement, charge)));
  };
  const logBegun = () => {
    const header = Buffer.alloc(32);
    const file = openSync(`${path}-wal`, "r");
    readSync(file, header, 0, 32, 0);
    closeSync(file);
    // The file format calls it the checkpoint sequence number.
    return header.readUInt32BE(12);
  };

  it("is brought into the database without anybody closing it", async () => {
    await write(0, 500);
    await vi.waitFor(
      () => {
        // The database alone, without its log.
        copyFileSync(path, join(folder, "alone.db"));
        const alone = openSqliteFile(join(folder, "alone.db"));
        try {
          expect(alone.all("select count(*) as rows from budgets")).toEqual([{ rows: 500 }]);
        } finally {
          alone.close();
        }
      },
      { timeout: 20_000, interval: 200 },
    );
  });

  it("is left to those who write when its thread ends, and the server goes on", async () => {
    const warned = new Promise<Error>((resolve) => process.once("warning", resolve));
    const lost = openCheckpointer(join(folder, "nowhere", "test.db"));
    expect((await warned).message).toContain("those who write do its work");
    await lost.close();
  });

  it("begins anew although somebody writes all the time, and loses nothing", { timeout: 60_000 }, async () => {
    const first = logBegun();
    let written = 0;
    for (; logBegun() === first; written += 500) {
      // Half of the length at which connections would do it themselves.
      expect(statSync(`${path}-wal`).size).toBeLessThan(64 * 1024 * 1024);
      await write(written, 500);
    }
    await write(written, 500);
    const rows = openSqliteFile(path);
    expect(rows.all("select count(*) as rows from budgets")).toEqual([{ rows: written + 500 }]);
    rows.close();
  });

  it("gives the room back that it once needed", { timeout: 60_000 }, async () => {
    const MOST = 16 * 1024 * 1024;
    const length = () => statSync(`${path}-wal`).size;
    // Whoever reads an old state keeps the log from beginning anew.
    const reader = openSqliteFile(path);
    reader.exec("begin");
    reader.all("select count(*) from budgets");
    let written = 0;
    for (; length() < MOST + 4 * 1024 * 1024; written += 500) await write(written, 500);
    reader.exec("rollback");
    reader.close();
    await vi.waitFor(
      async () => {
        await write(written, 1);
        written += 1;
        expect(length()).toBeLessThanOrEqual(MOST);
      },
      { timeout: 20_000, interval: 100 },
    );
  });
});
