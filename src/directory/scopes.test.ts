import { describe, expect, it } from "vitest";
import { often } from "../../test/support/often.ts";
import type { Bearer } from "../http/contract.ts";
import { checkHoldsAll, coverageOf, heldNow } from "./scopes.ts";

/** What the words of `coverageOf` mean, one scope against one. */
function covers(held: string, wanted: string): boolean {
  if (held === wanted) return true;
  const [, verb, resource] = /^(admin|write|read):(.+)$/.exec(held) ?? [];
  const [, wantedVerb, below] = /^([a-z]+):(.+)$/.exec(wanted) ?? [];
  if (!verb || !resource || !wantedVerb || !below) return false;
  return (verb === "admin" || verb === wantedVerb) && (below === resource || below.startsWith(`${resource}:`));
}

describe("scopes", () => {
  it("cover themselves, and admin, write and read what is below them", () => {
    const verbs = ["admin", "write", "read", "create", "user", "Read", ""];
    const parts = [
      "accounts",
      "accounts:",
      "accounts:/auth",
      "accounts:/auth:x",
      "accounts2",
      ":",
      "::",
      "a:b",
      "a",
      "",
    ];
    const all = verbs.flatMap((verb) => parts.map((part) => `${verb}:${part}`)).concat("openid", "admin", "read");
    for (let first = 0; first < all.length; first++) {
      for (const size of [1, 2, 7, all.length]) {
        const held = all.filter((_, n) => (n * 31 + first) % all.length < size);
        const isCovered = coverageOf(held);
        const expected = all.filter((wanted) => held.some((one) => covers(one, wanted)));
        expect(all.filter(isCovered), held.join(" ")).toEqual(expected);
      }
    }
    expect(all.filter(coverageOf([]))).toEqual([]);
  });

  it("mean by a former name what they do by the one of now, whatever holds words of it", () => {
    for (const [former, now] of [
      ["accounts:auth:users", "write:accounts:/auth/users"],
      ["accounts:admin", "admin:accounts"],
      ["customer_customers:write", "write:customers"],
    ] as const) {
      expect(coverageOf([former])(now), former).toBe(true);
      expect(coverageOf([now])(former), former).toBe(true);
      expect(heldNow(["openid", former])).toEqual(["openid", former, now]);
      const verbs = ["admin", "write", "read", "accounts", "customer_customers", "users"];
      const others = verbs.flatMap((verb) =>
        ["auth", "auth:users", "users", "admin", "write"].map((at) => `${verb}:${at}`),
      );
      const words = others.filter((one) => heldNow([one]).length === 1);
      expect(coverageOf(words)(former), former).toBe(false);
    }
    expect(coverageOf(["accounts:admin"])("write:accounts:/auth/users")).toBe(true);
    const held = ["openid", "read:accounts"];
    expect(heldNow(held)).toBe(held);
  });

  it("are not looked at once for each that somebody holds", () => {
    const held = often(Array.from({ length: 300 }, (_, n) => `read:accounts:/held/${n}`));
    const scopes = Array.from({ length: 300 }, (_, n) => ({ scope: `read:accounts:/x/${n}`, at_account_api: true }));
    const bearer = { scope: held.list } as unknown as Bearer;
    expect(() => checkHoldsAll(bearer, scopes)).toThrow();
    expect(held.reads()).toBeLessThan(3_000);
  });
});
