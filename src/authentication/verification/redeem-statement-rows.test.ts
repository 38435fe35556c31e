/** Which row a presented code is judged by, and what an attempt leaves behind of the person's wrong guesses. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
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
import { reveal, type Secret } from "../../secrets/secret.ts";
import type { Storage } from "../../storage/storage.ts";
import type { RedeemInput } from "./redeem-statement.ts";

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

  describe("under the name that somebody had before they were known", () => {
    const x = { person: "x:before", user_id: null, signup: 1 };
    const asBoth = (who: Login, code: Secret | string, fields: Partial<RedeemInput> = {}) => {
      const named = { person: who.user_id, former: x.person, signup: true, ...fields };
      const kind = (typeof code === "string" ? code : reveal(code)).length === 6 ? "numeric" : "typable";
      const now = redeemInput(storage, who, kind, code, named);
      const before = redeemInput(storage, who, kind, code, { ...named, person: x.person });
      return redeem(storage, { ...now, digests: [...now.digests, ...before.digests] });
    };

    it("a code fits who is named by both, and nobody else", async () => {
      for (const format of ["typable", "numeric"] as const) {
        const who = await insertLogin(storage);
        const { id, code } = await insertCode(storage, who, { ...x, format });
        for (const former of ["", "x:another"])
          expect(await asBoth(who, code, { former }), format).toMatchObject({ won: false, fits: false });
        expect(await selectCode(storage, id)).toMatchObject({ spent_at: null });
        expect(await asBoth(who, code), format).toMatchObject({ won: true, fits: true, wrong: false, code: { id } });
        expect(await asBoth(who, code), format).toMatchObject({ won: false, fits: true, wrong: false });
      }
    });

    it("wrong guesses count once against the person, and on every code that they were compared with", async () => {
      const who = await insertLogin(storage);
      const own = await insertCode(storage, who, { format: "numeric" });
      const before = await insertCode(storage, who, { ...x, format: "numeric" });
      const guesses = wrongGuesses(reveal(own.code), 8).filter((guess) => guess !== reveal(before.code));
      const compared = async (guess: string) => (await asBoth(who, guess)).exhausted_until === null;
      for (const guess of guesses.slice(0, 3)) expect(await compared(guess)).toBe(true);
      for (const { id } of [own, before]) expect(await selectCode(storage, id)).toMatchObject({ guesses: 3 });
      await redeem(storage, redeemInput(storage, who, "numeric", guesses[3] ?? ""));
      await redeem(storage, redeemInput(storage, who, "numeric", guesses[4] ?? ""));
      expect(await selectCode(storage, own.id), "dead").toMatchObject({ guesses: 5 });
      expect(await asBoth(who, own.code), "like every wrong one").toMatchObject({ won: false, wrong: true });
      expect(await selectCode(storage, before.id), "the other is not").toMatchObject({ guesses: 4 });
      expect(await compared(guesses[5] ?? "")).toBe(true);
      const dead = await asBoth(who, before.code);
      expect(dead).toMatchObject({ won: false, wrong: false, exhausted_until: expect.any(String) });
      expect(dead.window, "each once").toMatchObject({ count: 7 });
    });

    it("of a hundred parallel redemptions by either name one wins, and every wrong guess that is compared is counted", async () => {
      const who = await insertLogin(storage);
      const { id, code } = await insertCode(storage, who, { ...x, format: "numeric" });
      const asUnknown = (_who: Login, text: Secret | string) =>
        redeem(storage, redeemInput(storage, who, "numeric", text, { person: x.person, signup: true }));
      const twins = Array.from({ length: 50 }, () => [asBoth(who, code), asUnknown(who, code)]);
      expect((await Promise.all(twins.flat())).filter(({ won }) => won)).toHaveLength(1);
      expect(await selectCode(storage, id)).toMatchObject({ redeemed_by: expect.any(String) });
      const guessed = await insertCode(storage, who, { ...x, format: "numeric" });
      const wrong = wrongGuesses(reveal(guessed.code), 100);
      const answers = await Promise.all(wrong.map((guess, n) => (n % 2 ? asBoth : asUnknown)(who, guess)));
      const compared = answers.filter(({ exhausted_until }) => exhausted_until === null).length;
      // Two that are compared at once may be one too many, and are counted both.
      expect([5, 6]).toContain(compared);
      expect(await selectCode(storage, guessed.id)).toMatchObject({ guesses: compared });
    });
  });
});
