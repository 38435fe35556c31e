/** Which row a presented code is judged by, and what an attempt leaves behind of the person's wrong guesses. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import {
  type CodeFields,
  insertCode,
  insertLogin,
  type Login,
  redeem,
  redeemInput,
  selectCode,
  wrongGuesses,
} from "../../../test/support/verification.ts";
import { reveal } from "../../secrets/secret.ts";
import type { Storage } from "../../storage/storage.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describeOnBothEngines("redeem_code", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
  });
  afterAll(() => test.close());

  /** Two numeric codes of one person that happen to read alike; as rare as a lucky guess. */
  async function insertTwins(who: Login, [one, two]: readonly Partial<CodeFields>[]) {
    const first = await insertCode(storage, who, { ...one, format: "numeric" });
    const second = await insertCode(storage, who, { ...two, format: "numeric" });
    const { typed_digest } = await selectCode(storage, first.id);
    await storage.write((tx) =>
      tx.db.updateTable("verification_codes").set({ typed_digest }).where("id", "=", second.id).execute(),
    );
    return { first: first.id, second: second.id, code: first.code };
  }

  it("of two codes that read alike takes the one that lives, whichever is newer", async () => {
    const now = storage.now();
    const dead = { created_at: now - 20 * MINUTE };
    const [long, short] = [
      { created_at: now - HOUR, lifetime: 2 * HOUR },
      { created_at: now, lifetime: 10 * MINUTE },
    ];
    for (const live of [long, short]) {
      for (const turned of [false, true]) {
        const who = await insertLogin(storage);
        const twins = await insertTwins(who, turned ? [live, dead] : [dead, live]);
        const input = redeemInput(storage, who, "numeric", twins.code, { at: now });
        expect(await redeem(storage, input)).toMatchObject({
          won: true,
          wrong: false,
          code: { id: turned ? twins.first : twins.second },
        });
      }
    }
  });

  it("of two dead codes that read alike judges the one that fits, then the newer one", async () => {
    const now = storage.now();
    const [older, newer] = [{ created_at: now - 3 * HOUR }, { created_at: now - 2 * HOUR }];
    for (const turned of [false, true]) {
      const who = await insertLogin(storage);
      const twins = await insertTwins(who, turned ? [newer, older] : [older, newer]);
      const id = turned ? twins.first : twins.second;
      const answer = await redeem(storage, redeemInput(storage, who, "numeric", twins.code));
      expect(answer).toMatchObject({ won: false, fits: true, wrong: false, code: { id } });
      const text = { ...older, connections: "sms" };
      const mailed = { connections: "email" };
      const mixed = await insertLogin(storage);
      const both = await insertTwins(mixed, turned ? [mailed, text] : [text, mailed]);
      const input = redeemInput(storage, mixed, "numeric", both.code, { connection: "sms" });
      expect(await redeem(storage, input)).toMatchObject({
        won: false,
        fits: true,
        wrong: false,
        code: { id: turned ? both.second : both.first },
      });
    }
  });

  it("counts a right numeric code that came through another connection as a wrong one", async () => {
    const who = await insertLogin(storage);
    const { id, code } = await insertCode(storage, who, { format: "numeric" });
    const input = redeemInput(storage, who, "numeric", code, { connection: "sms" });
    expect(await redeem(storage, input)).toMatchObject({ won: false, fits: false, wrong: true, window: { count: 1 } });
    expect(await selectCode(storage, id)).toMatchObject({ guesses: 1, spent_at: null });
  });

  it("forgives wrong guesses for a strong code that wins, for no other, and remembers nothing of who has none", async () => {
    const who = await insertLogin(storage);
    const windows = () => storage.read.selectFrom("budgets").selectAll().where("subject", "=", who.user_id).execute();
    const quiet = await insertCode(storage, who);
    expect((await redeem(storage, redeemInput(storage, who, "typable", quiet.code))).won).toBe(true);
    expect(await windows()).toEqual([]);
    const victim = await insertCode(storage, who, { format: "numeric" });
    for (const guess of wrongGuesses(reveal(victim.code), 5))
      await redeem(storage, redeemInput(storage, who, "numeric", guess));
    const late = await insertCode(storage, who, { created_at: storage.now() - HOUR });
    for (const { code } of [quiet, late]) {
      const answer = await redeem(storage, redeemInput(storage, who, "typable", code, { person: who.user_id }));
      expect(answer).toMatchObject({ won: false, wrong: false, exhausted_until: null, window: null });
      expect(await windows()).toMatchObject([{ count: 5, failures: 5 }]);
    }
    const strong = await insertCode(storage, who);
    expect((await redeem(storage, redeemInput(storage, who, "typable", strong.code))).won).toBe(true);
    expect(await windows()).toMatchObject([{ count: 5, failures: 0 }]);
  });
});
