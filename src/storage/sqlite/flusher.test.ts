import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Flusher, openFlusher } from "./flusher.ts";

describe("the flusher", () => {
  let folder: string;
  let flusher: Flusher;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-"));
    writeFileSync(join(folder, "test.db-wal"), "log");
    flusher = openFlusher(join(folder, "test.db"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("shares one flush among all who came while another was under way", async () => {
    const order: number[] = [];
    const calls = [0, 1, 2].map((n) => flusher.flush().then(() => order.push(n)));
    await Promise.all(calls);
    expect(order).toEqual([0, 1, 2]);
    flusher.close();
  });

  it("stays broken once the disk refused a flush", async () => {
    flusher.close();
    await expect(flusher.flush()).rejects.toThrow("the disk refused a flush");
    await expect(flusher.flush()).rejects.toThrow("the disk refused a flush");
  });
});
