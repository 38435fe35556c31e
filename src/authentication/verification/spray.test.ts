import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { accountOf } from "../../../test/support/verification-room.ts";
import { isSprayed, noteSpray } from "./spray.ts";

const MINUTE = 60_000;
const NOW = Date.parse("2026-01-01T00:00:00.000Z");
let accounts = 0;

describeOnBothEngines("a spray of guesses", (engine) => {
  let test: TestStorage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
  });
  afterAll(() => test.close());

  /** An account of its own, in which people are guessed against one after another. */
  const open = (spray_guess_limit = 25) => {
    accounts += 1;
    const login = { account_id: `T${10_000_000 + accounts}`, client_id: "", grant_id: "", user_id: "", audience: "" };
    const account = accountOf(login, { spray_guess_limit });
    return {
      sprayed: (now = NOW) => isSprayed(test.storage, account.account_id, now),
      async guess(count: number, people: number, now = NOW) {
        for (let n = 0; n < count; n++) await noteSpray(test.storage, account, `person-${n % people}`, now);
      },
    };
  };

  it("is noticed with the guess that makes it enough of them, at enough people, in this account alone", async () => {
    const [account, other] = [open(), open()];
    await account.guess(24, 24);
    expect(await account.sprayed()).toBe(false);
    await account.guess(1, 1);
    expect([await account.sprayed(), await other.sprayed()]).toEqual([true, false]);
  });

  it("is none at nineteen people however many guesses there are, and one at the twentieth", async () => {
    const account = open();
    await account.guess(60, 19);
    expect(await account.sprayed()).toBe(false);
    await account.guess(20, 20);
    expect(await account.sprayed()).toBe(true);
  });

  it("is forgotten after ten minutes if it was none, and an hour after it was one", async () => {
    const account = open();
    await account.guess(24, 24);
    await account.guess(24, 24, NOW + 10 * MINUTE);
    expect(await account.sprayed(NOW + 10 * MINUTE)).toBe(false);
    await account.guess(1, 1, NOW + 11 * MINUTE);
    expect(await account.sprayed(NOW + 11 * MINUTE)).toBe(true);
    expect(await account.sprayed(NOW + 71 * MINUTE - 1)).toBe(true);
    expect(await account.sprayed(NOW + 71 * MINUTE)).toBe(false);
  });
});
