import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { fetchDocument, openDocuments, withKeysAt } from "./documents.ts";
import { openEgress } from "./egress.ts";

describe("documents of other servers", () => {
  /** 60 KB of JSON that take up a megabyte once they are read. */
  const text = JSON.stringify({ keys: [], padding: Array.from({ length: 20_000 }, () => ({})) });
  let server: Server;
  let base: string;
  const asked = new Map<string, number>();
  /** Those that wait under /held until the test lets them go. */
  const held: (() => void)[] = [];
  beforeAll(async () => {
    server = createServer(({ url = "" }, response) => {
      asked.set(url, (asked.get(url) ?? 0) + 1);
      response.statusCode = Number(/^\/status-(\d+)/.exec(url)?.[1] ?? 200);
      if (url.startsWith("/held")) held.push(() => response.end(text));
      else response.end(text);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  it("are kept as text, of which there is a bounded amount", async () => {
    const documents = openDocuments(openEgress(["127.0.0.0/8"]));
    const get = (n: number) => fetchDocument(documents, `${base}/${n}`, AbortSignal.timeout(60_000));
    for (let n = 0; n < 300; n++) expect((await get(n)).keys).toEqual([]);
    const held: unknown[] = [];
    for (let n = 0; n < 300; n++) held.push(await documents.kept.get(`${base}/${n}`, async () => undefined));
    const kept = held.filter((document) => document !== undefined);
    expect(new Set(kept)).toEqual(new Set([text]));
    expect(kept.length * text.length).toBeLessThanOrEqual(16 * 1_024 * 1_024);
    await get(299);
    await get(0);
    expect([asked.get("/299"), asked.get("/0")]).toEqual([1, 2]);
  });

  it.each([
    [404, 10_000],
    [503, 2_000],
  ])("are not asked for again, whoever asks, for a while after %i", async (status, milliseconds) => {
    let time = 0;
    const documents = openDocuments(openEgress(["127.0.0.0/8"]), () => time);
    const get = () => fetchDocument(documents, `${base}/status-${status}`, AbortSignal.timeout(60_000));
    const before = asked.get(`/status-${status}`) ?? 0;
    const times = () => (asked.get(`/status-${status}`) ?? 0) - before;
    for (let n = 0; n < 5; n++) await expect(get()).rejects.toMatchObject({ code: "upstream_login_failed" });
    expect(times()).toBe(1);
    time += milliseconds - 1;
    await expect(get()).rejects.toThrow(`${status}`);
    expect(times()).toBe(1);
    time += 1;
    await expect(get()).rejects.toThrow(`${status}`);
    expect(times()).toBe(2);
  });

  it("are asked for again where only the time of whoever asked was up", async () => {
    const documents = openDocuments(openEgress(["127.0.0.0/8"]));
    await expect(fetchDocument(documents, `${base}/soon`, AbortSignal.abort())).rejects.toThrow();
    expect((await fetchDocument(documents, `${base}/soon`, AbortSignal.timeout(60_000))).keys).toEqual([]);
  });

  it.each(["for the first time", "anew"])("come to whoever has time, though who asked %s gave up", async (how) => {
    const documents = openDocuments(openEgress(["127.0.0.0/8"]));
    const url = `${base}/held/${how.length}`;
    const times = () => asked.get(url.slice(base.length)) ?? 0;
    const arrived = async (count: number) => {
      while (times() < count) await new Promise((resolve) => setImmediate(resolve));
    };
    const outdated = Object.assign(new Error("no such key"), { code: "ERR_JWKS_NO_MATCHING_KEY" });
    const get = (signal: AbortSignal) => {
      let first = true;
      return withKeysAt(documents, url, signal, async ({ keys }) => {
        if (how === "anew" && first) {
          first = false;
          throw outdated;
        }
        return keys;
      });
    };
    if (how === "anew") {
      const before = fetchDocument(documents, url, AbortSignal.timeout(60_000));
      await arrived(1);
      held.pop()?.();
      await before;
    }
    const before = times();
    const hasty = new AbortController();
    const [first, second] = [get(hasty.signal), get(AbortSignal.timeout(60_000))];
    await arrived(before + 1);
    hasty.abort();
    await expect(first).rejects.toMatchObject({ code: "upstream_login_failed", options: { momentary: true } });
    held.pop()?.();
    expect(await second).toEqual([]);
    expect(times(), "asked for once").toBe(before + 1);
  });
});
