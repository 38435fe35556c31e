import dgram from "node:dgram";
import { createServer, type Server } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { type Names, openNames } from "../../test/support/names.ts";
import { until } from "../../test/support/smtp.ts";
import { type EgressRequest, egressFetch, openEgress } from "./egress.ts";
import { findAddresses } from "./names.ts";

describe("the host of an address that others named", () => {
  let names: Names;
  let server: Server;
  let port: number;
  beforeEach(async () => {
    names = await openNames();
    server = createServer((_request, response) => response.end("{}"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterEach(async () => {
    server.closeAllConnections();
    server.close();
    await names.close();
  });

  const ask = async (host: string, more: Partial<EgressRequest> = {}, allow = ["127.0.0.1"]) => {
    const url = `http://${host}:${port}/`;
    return (await egressFetch(openEgress(allow), { url, method: "GET", timeout: 60_000, ...more })).status;
  };

  /** Asks, until the test gives up. */
  const askAWhile = (host: string) => {
    const patience = new AbortController();
    const end = expect(ask(host, { signal: patience.signal })).rejects.toThrow("in time");
    const giveUp = () => {
      patience.abort();
      return end;
    };
    return { giveUp };
  };

  it("is asked of the nameserver, which is asked no longer than the request lasts", async () => {
    const silent = askAWhile("a.silent.test");
    await until("the question", () => names.asked.has("a.silent.test") || undefined);
    await silent.giveUp();
    expect(names.cancelled).toBe(1);
    expect(await ask("a.inside.test")).toBe(200);
    expect([...names.looked_up]).toEqual([]);
  });

  it("is refused where it lies inside, whatever the nameserver calls it", async () => {
    await expect(ask("a.inside.test", {}, [])).rejects.toThrow("is not a public https address");
    await expect(ask("a.inside.test", {}, ["127.0.0.2"])).rejects.toThrow("is not a public https address");
  });

  it("is not asked of the system where the nameserver is silent", async () => {
    await expect(ask("a.silent.test")).rejects.toThrow("ETIMEOUT");
    expect([...names.looked_up]).toEqual([]);
  });

  it.each([
    ["none of either", undefined, undefined, 6],
    ["IPv4 alone", "10.0.0.2", undefined, 4],
    ["IPv6 alone, though some network has IPv4 addresses", undefined, "2606:4700::2", 6],
    ["both", "10.0.0.2", "2606:4700::2", 6],
    ["IPv6 from an address of the local network", "10.0.0.2", "fd00::2", 4],
  ])("is found by the family that this machine has a way for: %s", async (_, four, six, first) => {
    const leaveFrom = (source: string | undefined) =>
      ({
        once: () => {},
        close: () => {},
        connect: (_port: number, _address: string, done: (error?: Error) => void) =>
          done(source === undefined ? new Error("ENETUNREACH") : undefined),
        address: () => ({ address: source }),
      }) as unknown as dgram.Socket;
    const spy = vi
      .spyOn(dgram, "createSocket")
      .mockImplementation((type: unknown) => leaveFrom(type === "udp4" ? four : six));
    syncBuiltinESMExports();
    try {
      const found = await findAddresses("a.both.test", new AbortController().signal);
      expect(found.map(({ family }) => family)).toEqual(first === 4 ? [4, 6] : [6, 4]);
    } finally {
      spy.mockRestore();
      syncBuiltinESMExports();
    }
  });

  it("is found in the list of this machine, though the nameserver does not know it", async () => {
    expect(await ask("localhost")).toBe(200);
    expect([...names.sought]).toEqual([]);
  });

  it("is asked of the system where the nameserver does not know it, one at a time", async () => {
    const first = askAWhile("a.unknown.test");
    await until("the first", () => names.looked_up.has("a.unknown.test") || undefined);
    const second = askAWhile("b.unknown.test");
    const third = ask("c.unknown.test");
    await until("all questions", () => names.asked.size === 3 || undefined);
    await first.giveUp();
    await second.giveUp();
    expect(await ask("localhost", { by_operator: true }), "there is a place left for the operator's").toBe(200);
    expect([...names.looked_up]).toEqual(["a.unknown.test", "localhost"]);
    names.release("a.unknown.test");
    await until("the third", () => names.looked_up.has("c.unknown.test") || undefined);
    names.release("c.unknown.test");
    expect(await third).toBe(200);
    expect([...names.looked_up], "who gave up is not asked for").toEqual([
      "a.unknown.test",
      "localhost",
      "c.unknown.test",
    ]);
  });
});
