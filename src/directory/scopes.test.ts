import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { often } from "../../test/support/often.ts";
import type { Bearer } from "../http/contract.ts";
import { checkHoldsAll, coverageOf, heldNow, isOurs } from "./scopes.ts";

/** What the words of `coverageOf` mean, one scope against one. */
function covers(held: string, wanted: string): boolean {
  if (held === wanted) return true;
  const [, verb, resource] = /^(admin|write|read):(.+)$/.exec(held) ?? [];
  const [, wantedVerb, below] = /^([a-z]+):(.+)$/.exec(wanted) ?? [];
  if (!verb || !resource || !wantedVerb || !below) return false;
  return (verb === "admin" || verb === wantedVerb) && (below === resource || below.startsWith(`${resource}:`));
}

describe("scopes", () => {
  it("are another service's where operations here ask for none of what they name", () => {
    const ours = ["admin:accounts", "accounts:write", "customer_customers:read", "user:customers", "openid"];
    expect([...ours, "create:accounts:auth:refresh_token", "write:accounts:/auth/users"].filter(isOurs)).toHaveLength(
      7,
    );
    expect(["orders:read", "read:orders", "admin:checkout", "accounts2:read", "words", "a:b:c"].filter(isOurs)).toEqual(
      [],
    );
  });

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

  it("may name their resource first, and mean the same wherever somebody hands them on", () => {
    const forms = ["admin", "write", "read"].flatMap((verb) =>
      ["checkout", "receipts"].map((resource) => [`${verb}:${resource}`, `${resource}:${verb}`] as const),
    );
    const names = [...forms.flat(), "create:checkout", "write:checkout:/refunds", "openid", "admin:accounts"];
    const nowOf = (name: string) => forms.find(([, turned]) => turned === name)?.[0] ?? name;
    for (const one of names) {
      const covered = names.filter(coverageOf([one]));
      const expected = names.filter((wanted) => covers(nowOf(one), nowOf(wanted)));
      expect(covered, one).toEqual(expected);
      expect(heldNow([one]), "what an operation asks for is no such name").toEqual([one]);
    }
  });

  it("are read in one way only where both could be, and never as what an operation here asks for", () => {
    const document = readFileSync(new URL("../../openapi.json", import.meta.url), "utf8");
    const asked = [...new Set(document.match(/(?<=`)(?:admin|write|read|create|public|user):[^`\s]+(?=`)/g))];
    expect(asked).toEqual(expect.arrayContaining(["admin:customers", "create:account", "create:applicant"]));
    const verbs = ["admin", "write", "read", "create", "user", "public"];
    const resources = asked.map((scope) => scope.split(":")[1] ?? "");
    for (const word of [...verbs, ...resources, "a:b", "checkout:/x", "", "Checkout", "check out"]) {
      for (const verb of ["admin", "write", "read"]) {
        const name = `${word}:${verb}`;
        if (heldNow([name]).length > 1) continue;
        for (const wanted of [...asked, `${verb}:${word}`]) {
          expect(coverageOf([name])(wanted), `${name} ${wanted}`).toBe(covers(name, wanted));
          expect(coverageOf([wanted])(name), `${wanted} ${name}`).toBe(covers(wanted, name));
        }
      }
    }
    expect(coverageOf(["admin:admin"])("checkout:admin"), "no verb is a resource's").toBe(false);
  });

  it("are words of its own at another API, which nobody reads in another way", () => {
    const handsOn = (held: string, scope: string, at_account_api: boolean) => {
      const bearer = { scope: ["write:accounts", held] } as unknown as Bearer;
      try {
        checkHoldsAll(bearer, [{ scope, at_account_api }]);
        return true;
      } catch {
        return false;
      }
    };
    expect(handsOn("admin:checkout", "checkout:admin", true)).toBe(true);
    expect(handsOn("admin:checkout", "checkout:admin", false)).toBe(false);
    expect(handsOn("checkout:admin", "admin:checkout", true)).toBe(true);
    expect(handsOn("checkout:admin", "admin:checkout", false)).toBe(false);
    expect(handsOn("checkout:admin", "write:checkout:/refunds", false)).toBe(false);
    expect(handsOn("admin:checkouts", "checkout:admin", true)).toBe(false);
    for (const name of ["checkout:admin", "admin:checkout"]) expect(handsOn(name, name, false), name).toBe(true);
    expect(handsOn("admin:accounts", "checkout:admin", false)).toBe(true);
  });

  it("are not looked at once for each that somebody holds", () => {
    const held = often(Array.from({ length: 300 }, (_, n) => `read:accounts:/held/${n}`));
    const scopes = Array.from({ length: 300 }, (_, n) => ({ scope: `read:accounts:/x/${n}`, at_account_api: true }));
    const bearer = { scope: held.list } as unknown as Bearer;
    expect(() => checkHoldsAll(bearer, scopes)).toThrow();
    expect(held.reads()).toBeLessThan(3_000);
  });
});
