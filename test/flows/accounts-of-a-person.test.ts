/** Somebody in ever so many accounts is shown each of them, while nobody else waits, and what one gives hides no other. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAccount } from "../../src/directory/accounts/create-account.ts";
import { createRole } from "../../src/directory/roles/change-role.ts";
import { createUser } from "../../src/directory/users/create-user.ts";
import { findAccountUser } from "../../src/directory/users/find-account-user.ts";
import type { Bearer } from "../../src/http/contract.ts";
import { showMe } from "../../src/oauth/account-user/show-me.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { actor, type Latchkey, newAccountId, startLatchkey } from "../support/latchkey.ts";

/** As much as one account may give. */
const LONG = Array.from({ length: 190 }, (_, n) => `read:x${n}:${"y".repeat(180)}`);

describeOnBothEngines("somebody in many accounts", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  async function place(email: string, scope: readonly string[], ...roles: (readonly string[])[]) {
    const { directory } = latchkey.server.core;
    const account_id = newAccountId("P");
    const account = await createAccount(directory, { account_id, name: account_id }, actor);
    const role_ids: string[] = [];
    for (const given of roles) role_ids.push((await createRole(directory, account_id, { scope: given }, actor)).id);
    const input = { type: "account_user" as const, email, verified: true, scope, role_ids };
    const { id } = await createUser(directory, account, input, actor);
    return { account_id, id };
  }
  /** As after a login there by a code by mail. */
  async function show({ account_id, id }: { readonly account_id: string; readonly id: string }) {
    const { directory } = latchkey.server.core;
    const bearer = { account_id, subject: id, amr: ["otp"] } as unknown as Bearer;
    const { accounts } = await showMe(directory, await findAccountUser(directory, account_id, id), bearer);
    const scopes = new Map(accounts.map(({ account_id: place, user }) => [place, user.scope]));
    return { scopes, length: JSON.stringify(accounts).length };
  }

  it("reads them one by one, and shows what they hold there as far as it is short", async () => {
    const email = "many@example.com";
    const own = await place(email, ["openid"], LONG, LONG);
    const brief = await place(email, ["read:accounts"], ["write:accounts"]);
    const long: string[] = [];
    for (let n = 0; n < 14; n++) long.push((await place(email, ["openid"], LONG, LONG)).account_id);
    let turns = 0;
    let going = true;
    const turn = () => {
      turns++;
      if (going) setImmediate(turn);
    };
    turn();
    const { scopes, length } = await show(own);
    going = false;
    expect(scopes.size).toBe(16);
    expect(scopes.get(own.account_id)).toHaveLength(191);
    expect(scopes.get(brief.account_id)).toEqual(["read:accounts", "write:accounts"]);
    expect(long.map((place) => scopes.get(place))).toEqual(long.map(() => undefined));
    expect(length).toBeLessThan(100_000);
    expect(turns, "others have theirs after each account").toBeGreaterThan(15);
  });

  it("shows all that one of few accounts gives", async () => {
    const email = "few@example.com";
    const [own, other] = [await place(email, []), await place(email, ["openid"], LONG)];
    expect((await show(own)).scopes.get(other.account_id)).toHaveLength(191);
  });

  it("reads them once at a time for one address", async () => {
    const email = "eager@example.com";
    const [own, other] = [await place(email, []), await place(email, ["openid"])];
    let open = () => {};
    const { inTurn } = latchkey.server.core.directory;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const before = inTurn(`accounts of ${email}`, () => opened);
    const shown = show(own);
    expect(await Promise.race([shown, new Promise((resolve) => setTimeout(resolve, 500, "waits"))])).toBe("waits");
    open();
    expect((await shown).scopes.get(other.account_id)).toEqual(["openid"]);
    await before;
  });
});
