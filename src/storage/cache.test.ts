import { describe, expect, it } from "vitest";
import { openDirectory } from "../directory/directory.ts";
import { type Cache, openCache } from "./cache.ts";

const MEBI = 1_024 * 1_024;

/** Of forty values of a mebi of characters each, those that are still there, by the order in which they came. */
async function heldOf<V>(cache: Cache<V>, made: (text: string) => V): Promise<readonly number[]> {
  const text = "x".repeat(MEBI);
  for (let n = 0; n < 40; n++) await cache.get(`${n}`, async () => made(text));
  const held: number[] = [];
  for (let n = 0; n < 40; n++) if (await cache.get(`${n}`, async () => undefined)) held.push(n);
  return held;
}

const newest = (count: number) => Array.from({ length: count }, (_, n) => 40 - count + n);

describe("what is kept of reads", () => {
  it("is bounded by its size, and the oldest goes first", async () => {
    expect(await heldOf(openCache<string>({ sizeOf: ({ length }) => length }), (text) => text)).toEqual(newest(16));
  });

  it("is bounded by its size wherever a tenant says how large a row is", async () => {
    const { accounts, clients, staff_clients, secrets, grants, connections } = openDirectory({} as never);
    for (const cache of [accounts, clients, staff_clients, secrets, grants, connections] as Cache<unknown>[])
      expect(await heldOf(cache, (settings) => [{ settings }])).toEqual(newest(15));
  });

  it("is the very same value where a reload finds no other", async () => {
    const cache = openCache<{ readonly scope: readonly string[] }>();
    const load = (...scope: string[]) => cache.reload("key", async () => ({ scope }));
    expect(cache.peek("key")).toBeUndefined();
    const first = await cache.get("key", async () => ({ scope: ["a"] }));
    expect([await load("a"), cache.peek("key")].every((one) => one === first)).toBe(true);
    cache.forget("key");
    const second = await cache.get("key", async () => ({ scope: ["a"] }));
    expect(second).not.toBe(first);
    expect(await load("b")).toEqual({ scope: ["b"] });
    expect(cache.peek("key")).toEqual({ scope: ["b"] });
  });

  it("has room again for what is forgotten or loaded anew, and is one value at least", async () => {
    const cache = openCache<string>({ sizeOf: ({ length }) => length, ttl: -1 });
    const fill = (key: string, size: number) => cache.get(key, async () => "x".repeat(size));
    await fill("small", 10);
    for (let n = 0; n < 40; n++) {
      await fill("large", MEBI);
      await fill("forgotten", MEBI);
      cache.forget("forgotten");
    }
    const known = async (key: string) => (await cache.reload(key, async () => "anew")) !== undefined;
    expect(await known("small")).toBe(true);
    await fill("huge", 17 * MEBI);
    expect([await known("small"), await known("huge")]).toEqual([false, true]);
    cache.clear();
    await fill("small", 10);
    await fill("large", 15 * MEBI);
    expect(await known("small")).toBe(true);
  });
});
