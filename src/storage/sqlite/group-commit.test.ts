import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { takeStatement } from "../../limits/store.ts";
import type { HotStatement } from "../storage.ts";
import { openSqliteFile, type SqliteFile } from "./connection.ts";
import { type GroupCommit, openGroupCommit } from "./group-commit.ts";
import { openWriterThread, type WriterThread } from "./thread.ts";

const add: HotStatement<string, number> = {
  name: "test_add",
  key: (name) => name,
  mode: { kind: "spending" },
  sqlite: (db, name) => db.run("insert into things (name) values (?)", name),
  postgres: { text: "", parameters: () => [], answers: () => [] },
};

/** A disk that answers when it is told to. */
function slowDisk() {
  const waiting: { done(): void; fail(error: Error): void }[] = [];
  return {
    waiting,
    /** Resolves when so many flushes wait for their answer. */
    async asked(count: number) {
      while (waiting.length < count) await sleep(1);
    },
    flush: () =>
      new Promise<void>((resolve, reject) => {
        waiting.push({ done: resolve, fail: reject });
      }),
  };
}

describe("group commit", () => {
  let folder: string;
  let file: SqliteFile;
  let disk: ReturnType<typeof slowDisk>;
  let group: GroupCommit;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-"));
    file = openSqliteFile(join(folder, "test.db"));
    file.exec("pragma journal_mode = wal; create table things (name text not null unique) strict");
    disk = slowDisk();
    group = openGroupCommit({ file, flush: disk.flush, strict: true, patience: 10_000 });
  });
  afterEach(() => {
    file.close();
    rmSync(folder, { recursive: true });
  });

  const names = () => file.all("select name from things order by name").map(({ name }) => name);

  it("answers nobody before the flush, and runs the next group meanwhile", async () => {
    const answered: string[] = [];
    const first = group.hot(add, "a").then(() => answered.push("a"));
    await disk.asked(1);
    const second = group.hot(add, "b").then(() => answered.push("b"));
    await disk.asked(2);
    expect(names()).toEqual(["a", "b"]);
    expect(answered).toEqual([]);
    disk.waiting[0]?.done();
    await first;
    expect(answered).toEqual(["a"]);
    disk.waiting[1]?.done();
    await second;
    await group.idle();
    expect(answered).toEqual(["a", "b"]);
  });

  it("rejects everybody of a group whose flush failed, and nobody else", async () => {
    const failing = Promise.allSettled([group.hot(add, "a"), group.hot(add, "b")]);
    await disk.asked(1);
    const next = group.hot(add, "c");
    await disk.asked(2);
    expect(disk.waiting).toHaveLength(2);
    disk.waiting[0]?.fail(new Error("the disk is gone"));
    disk.waiting[1]?.done();
    const outcomes = await failing;
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(next).resolves.toBe(1);
  });

  it("rejects every member that ran when the transaction ended under them, and goes on with the rest", async () => {
    const rest = group.hot(add, "b");
    const ended = Promise.allSettled([
      group.hot(add, "a"),
      group.hot({ ...add, sqlite: (db) => db.run("commit") }, "the end"),
    ]);
    expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    await expect(rest).rejects.toThrow();
    const later = group.hot(add, "c");
    await disk.asked(1);
    disk.waiting.at(-1)?.done();
    await expect(later).resolves.toBe(1);
    expect(names()).toContain("c");
  });

  it("tells each member what ended the transaction, not that there is nothing left to take back", async () => {
    const [{ page_count } = {}] = file.all("pragma page_count");
    file.exec(`pragma max_page_count = ${Number(page_count) + 2}`);
    const large = "x".repeat(20_000);
    const full = { rawCode: 13 };
    const together = Promise.allSettled([group.hot(add, `${large}a`), group.hot(add, "b")]);
    expect(await together).toMatchObject([{ reason: full }, { reason: full }]);
    const alone = group.write(async ({ hot }) => hot(add, [large]));
    await expect(alone).rejects.toMatchObject(full);
  });

  it("lets a member fail alone", async () => {
    const outcomes = Promise.allSettled([group.hot(add, "a"), group.hot(add, "a"), group.hot(add, "b")]);
    await disk.asked(1);
    disk.waiting[0]?.done();
    expect((await outcomes).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(names()).toEqual(["a", "b"]);
  });

  describe("beside another process that writes", () => {
    let other: SqliteFile;
    beforeEach(() => {
      other = openSqliteFile(join(folder, "test.db"));
      other.exec("begin immediate");
    });
    afterEach(() => other.close());
    const open = (patience: number, thread?: WriterThread) =>
      openGroupCommit({ file, flush: async () => {}, strict: true, patience, thread });

    it("waits while the event loop goes on", async () => {
      const written = open(10_000).write(async ({ hot }) => hot(add, ["a"]));
      setTimeout(() => other.exec("commit"), 1);
      expect(await written).toEqual([1]);
    });

    it("refuses who has waited too long, and goes on with the rest", async () => {
      const hasty = open(0);
      await expect(hasty.hot(add, "a")).rejects.toMatchObject({ rawCode: 5 });
      other.exec("commit");
      expect(await hasty.hot(add, "b")).toBe(1);
      expect(names()).toEqual(["b"]);
    });

    it("refuses what the thread has waited with, and does not begin to wait anew", async () => {
      const thread = openWriterThread({ path: join(folder, "test.db"), watched: false });
      const tried = vi.spyOn(file, "run");
      const charge = { account_id: "T00000001", budget: "send_client", subject: "one" } as const;
      const held = open(0, thread).hot(takeStatement, { charge, now: Date.parse("2026-01-01T00:00:00Z") });
      await expect(held).rejects.toMatchObject({ code: "temporarily_unavailable" });
      expect(tried).not.toHaveBeenCalled();
      await thread.close();
    });
  });

  it("refuses a write that awaits something other than its own transaction", async () => {
    const late = group.write(async () => {
      await sleep(10);
    });
    const refused = expect(late).rejects.toThrow("awaited something other than its own transaction");
    await disk.asked(1);
    disk.waiting[0]?.done();
    await refused;
  });
});
