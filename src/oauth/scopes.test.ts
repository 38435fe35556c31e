import { describe, expect, it } from "vitest";
import { often } from "../../test/support/often.ts";
import { audienceNow, countedScope, givenBy, narrowScope, personScope } from "./scopes.ts";

const scopes = (what: string, length: number) => Array.from({ length }, (_, n) => `read:accounts:/${what}/${n}`);

describe("a person's scopes", () => {
  it("are what they and the grant both hold, and what is personal", () => {
    const grant = ["openid", "user:customers", "read:accounts", "admin:customers"];
    const own = ["admin:accounts", "write:customers:/users", "read:orders"];
    const both = ["openid", "user:customers", "read:accounts", "write:customers:/users"];
    expect(personScope(grant, true, own)).toEqual(both);
    expect(personScope(grant, true)).toEqual(["openid", "user:customers"]);
    expect(personScope(grant, false, own)).toEqual(grant);
    expect([givenBy(grant, true)("write:customers"), givenBy(grant, false)("write:customers")]).toEqual([true, false]);
  });

  it("count at the account API as far as they are personal, and whole beside the names of what the person holds", () => {
    const personal = ["openid", "address", "offline_access", "user:orders"];
    const all = [...personal, "orders:read", "admin:accounts"];
    expect(countedScope(all)).toEqual(personal);
    expect(countedScope(all, ["role:1@x"])).toEqual(personal);
    expect(countedScope(all, ["held:1@x"])).toEqual(all);
  });

  it("are not each compared with each", () => {
    const [own, grant, given, asked] = [300, 300, 300, 300].map((length, n) => often(scopes(`${n}`, length)));
    personScope(grant?.list ?? [], true, own?.list);
    for (const at_account_api of [true, false])
      expect(scopes("x", 300).filter(givenBy(given?.list ?? [], at_account_api))).toEqual([]);
    const named = asked?.list.toReversed().join(" ");
    expect(narrowScope(asked?.list ?? [], named)).toHaveLength(300);
    for (const one of [own, grant, given, asked]) expect(one?.reads()).toBeLessThan(3_000);
  });
});

it("userinfo below a name of the account API is userinfo here, whichever spelling of it the account names", () => {
  const [here, account_id] = ["https://id.example", "T10000001"];
  const now = (name: string, audience: string) => {
    const account = { account_id, settings: { api_audiences: [name] } } as never;
    return audienceNow(here, account, audience);
  };
  const [root, former] = ["https://api.example", "https://api.example/oauth/userinfo"];
  const userinfo = `${here}/v1/accounts/${account_id}/oauth/userinfo`;
  expect([root, `${root}/`, `${root}/a`].map((name) => now(name, former))).toEqual([userinfo, userinfo, former]);
  expect(now(root, root)).toBe(root);
});
