import type { IncomingMessage } from "node:http";
import { describe, expect, it } from "vitest";
import { readForwarded } from "./forwarded.ts";

function read(headers: Record<string, string>): string | undefined {
  const request = { headers: { ...headers } } as unknown as IncomingMessage;
  readForwarded(request);
  return request.headers["x-forwarded-for"] as string | undefined;
}

describe("Forwarded", () => {
  it.each([
    ["for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"],
    ['For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"],
    ['for="[2001:db8::1;proto=http', "unknown"],
    ["for=192.0.2.43, for=198.51.100.17", "192.0.2.43, 198.51.100.17"],
    ['for="192.0.2.43:47011"', "192.0.2.43"],
    ["for=_hidden, for=192.0.2.1", "_hidden, 192.0.2.1"],
    ["proto=https", "unknown"],
  ])("%s", (forwarded, expected) => {
    expect(read({ forwarded })).toBe(expected);
  });

  it.each([
    ["192.0.2.1:4711", "192.0.2.1"],
    ["192.0.2.43:1, 198.51.100.17", "192.0.2.43, 198.51.100.17"],
    ["[2001:db8:cafe::17]:4711,[2001:db8::1]", "2001:db8:cafe::17, 2001:db8::1"],
    ["2001:db8::1", "2001:db8::1"],
    ["unknown", "unknown"],
  ])("leaves out the ports that some proxies write into X-Forwarded-For: %s", (given, expected) => {
    expect(read({ "x-forwarded-for": given })).toBe(expected);
  });

  it.each([
    ["for=192.0.2.60", "192.0.2.1", ""],
    ["for=192.0.2.60", "192.0.2.1, 192.0.2.60", "192.0.2.60"],
    ["for=192.0.2.1, for=192.0.2.60", "192.0.2.60", "192.0.2.60"],
    ["for=192.0.2.1, for=192.0.2.60", "192.0.2.1", ""],
    ["for=192.0.2.1, for=10.0.0.1", "192.0.2.1:99,10.0.0.1", "192.0.2.1, 10.0.0.1"],
    ['for="[2001:DB8::1]"', "2001:db8::1", "2001:db8::1"],
    ["for=192.0.2.60", "", "192.0.2.60"],
    ["", "192.0.2.1", "192.0.2.1"],
  ])(
    "counts as far as X-Forwarded-For says the same, from the nearest hop: %s and %s",
    (forwarded, given, expected) => {
      expect(read({ forwarded, "x-forwarded-for": given })).toBe(expected);
    },
  );

  it("is made of nothing where there is neither", () => {
    expect(read({})).toBeUndefined();
  });

  it("has no more hops than a chain of proxies may have, the nearest of them", () => {
    const near = Array.from({ length: 20 }, (_, n) => `192.0.2.${n}`);
    for (const far of [["1.1.1.1"], Array.from({ length: 30_000 }, () => "")]) {
      const all = [...far, ...near];
      expect(read({ "x-forwarded-for": all.join(",") })).toBe(near.join(", "));
      expect(read({ forwarded: all.map((hop) => `for=${hop}`).join(",") })).toBe(near.join(", "));
    }
    expect(read({ "x-forwarded-for": near.join(",") })).toBe(near.join(", "));
    expect(read({ "x-forwarded-for": ",192.0.2.1" })).toMatch(/192\.0\.2\.1$/);
  });
});
