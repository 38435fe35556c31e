import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import {
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
import { type GuessWindow, nextWindow, wasCompared } from "./guess-window.ts";
import type { RedeemInput } from "./redeem-statement.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

describeOnBothEngines("redeem_code", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  let login: Login;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
    login = await insertLogin(storage);
  });
  afterAll(() => test.close());

  it("spends a typable code once, records who it was and what happened", async () => {
    const { id, code } = await insertCode(storage, login);
    const input = redeemInput(storage, login, "typable", code);
    const first = await redeem(storage, input);
    expect(first).toMatchObject({ won: true, fits: true, locked: true, pressed: false, window: null });
    expect(first.code).toMatchObject({ id, user_id: login.user_id, signup: false });
    expect(first.user).toMatchObject({ id: login.user_id, email: `${login.user_id}@example.com` });
    expect(await selectCode(storage, id)).toMatchObject({ spent_at: input.now, redeemed_by: input.attempt });
    const event = await storage.read
      .selectFrom("audit_events")
      .selectAll()
      .where("id", "=", input.event.id)
      .executeTakeFirstOrThrow();
    expect(event).toMatchObject({
      entity: id,
      outcome: "success",
      actor: login.client_id,
      context: '{"request_id":"r"}',
    });
    const second = await redeem(storage, redeemInput(storage, login, "typable", code));
    expect(second).toMatchObject({
      won: false,
      fits: true,
      locked: false,
      code: { id, spent_at: input.now, redeemed_by: input.attempt },
    });
  });

  it("spends a link, and spends typable and numeric siblings with it", async () => {
    const link = await insertCode(storage, login, { format: "link" });
    const typable = await insertCode(storage, login);
    const numeric = await insertCode(storage, login, { format: "numeric" });
    expect((await redeem(storage, redeemInput(storage, login, "link", link.code))).won).toBe(true);
    for (const [kind, { id, code }] of [
      ["typable", typable],
      ["numeric", numeric],
    ] as const) {
      expect(await selectCode(storage, id)).toMatchObject({ redeemed_by: null, spent_at: expect.any(String) });
      const answer = await redeem(storage, redeemInput(storage, login, kind, code));
      expect(answer).toMatchObject({
        won: false,
        fits: true,
        code: { redeemed_by: null, spent_at: expect.any(String) },
      });
    }
  });

  it("leaves codes of another client, audience or person alone", async () => {
    const other = await insertLogin(storage, { user_id: login.user_id });
    const second = await insertCode(storage, other);
    const third = await insertCode(storage, login, { person: "x:other", user_id: null });
    const { code } = await insertCode(storage, login);
    expect((await redeem(storage, redeemInput(storage, login, "typable", code))).won).toBe(true);
    expect((await selectCode(storage, second.id)).spent_at).toBeNull();
    expect((await selectCode(storage, third.id)).spent_at).toBeNull();
  });

  it("does not spend what is presented for another client, audience, person, connection or grant", async () => {
    const other = await insertLogin(storage);
    const { id, code } = await insertCode(storage, login);
    const attempts: Partial<RedeemInput>[] = [
      { client_id: other.client_id, grant_id: other.grant_id },
      { audience: "https://other.example.com" },
      { person: other.user_id },
      { connection: "sms" },
      { grant_id: other.grant_id },
      { account_id: "T00000002" },
    ];
    for (const fields of attempts) {
      const answer = await redeem(storage, redeemInput(storage, login, "typable", code, fields));
      const lives = fields.grant_id !== undefined && fields.client_id === undefined;
      expect(answer, JSON.stringify(fields)).toMatchObject({ won: false, fits: lives, wrong: false, pressed: false });
    }
    expect((await selectCode(storage, id)).spent_at).toBeNull();
    const fitting = { person: login.user_id, connection: "email" };
    expect((await redeem(storage, redeemInput(storage, login, "typable", code, fitting))).won).toBe(true);
  });

  it("fits every connection it was sent through, and any when it was minted", async () => {
    const both = await insertCode(storage, login, { connections: "email sms" });
    expect((await redeem(storage, redeemInput(storage, login, "typable", both.code, { connection: "ema" }))).won).toBe(
      false,
    );
    expect((await redeem(storage, redeemInput(storage, login, "typable", both.code, { connection: "sms" }))).won).toBe(
      true,
    );
    const minted = await insertCode(storage, login, { connections: null });
    expect(
      (await redeem(storage, redeemInput(storage, login, "typable", minted.code, { connection: "sms" }))).won,
    ).toBe(true);
  });

  it("does not redeem a code from the instant on at which it expires, and forgets it a day later", async () => {
    const past = storage.now() - HOUR;
    const { id, code } = await insertCode(storage, login, { created_at: past });
    for (const at of [past + 10 * MINUTE, storage.now()]) {
      expect(await redeem(storage, redeemInput(storage, login, "typable", code, { at }))).toMatchObject({
        won: false,
        fits: true,
        locked: false,
        code: { id, spent_at: null },
      });
    }
    const at = past + 10 * MINUTE + 24 * HOUR;
    expect((await redeem(storage, redeemInput(storage, login, "typable", code, { at }))).code).toBeNull();
  });

  it.each(["clients", "grants", "users"] as const)(
    "issues nothing once the delete of %s was acknowledged",
    async (table) => {
      const doomed = await insertLogin(storage);
      const { id, code } = await insertCode(storage, doomed);
      const row = { clients: doomed.client_id, grants: doomed.grant_id, users: doomed.user_id }[table];
      await storage.write((tx) =>
        tx.db.updateTable(table).set({ deleted_at: "2026-01-01" }).where("id", "=", row).execute(),
      );
      const answer = await redeem(storage, redeemInput(storage, doomed, "typable", code));
      expect(answer).toMatchObject({ won: false, client_lives: table !== "clients", grant_lives: table !== "grants" });
      if (table === "users") expect(answer.user).toBeNull();
      expect((await selectCode(storage, id)).spent_at).toBeNull();
    },
  );

  it("refuses a grant of another type", async () => {
    const machine = await insertLogin(storage);
    const { code } = await insertCode(storage, machine);
    await storage.write((tx) =>
      tx.db.updateTable("grants").set({ type: "client_credentials" }).where("id", "=", machine.grant_id).execute(),
    );
    expect(await redeem(storage, redeemInput(storage, machine, "typable", code))).toMatchObject({
      won: false,
      grant_lives: false,
    });
  });

  it("signs up only where the code and the client allow it", async () => {
    const stranger = { person: "x:new", user_id: null, email: "new@example.com" };
    const closed = await insertCode(storage, login, stranger);
    expect(await redeem(storage, redeemInput(storage, login, "typable", closed.code, { signup: true }))).toMatchObject({
      won: false,
      code: { signup: false },
    });
    const open = await insertCode(storage, login, { ...stranger, signup: 1 });
    expect((await redeem(storage, redeemInput(storage, login, "typable", open.code))).won).toBe(false);
    const answer = await redeem(storage, redeemInput(storage, login, "typable", open.code, { signup: true }));
    expect(answer).toMatchObject({
      won: true,
      user: null,
      code: { signup: true, email: "new@example.com", user_id: null },
    });
  });

  it("compares nothing short that is presented alone while the client is being guessed against", async () => {
    const pressed = await insertLogin(storage);
    const short = await insertCode(storage, pressed);
    await storage.write((tx) =>
      tx.db
        .insertInto("budgets")
        .values({
          account_id: pressed.account_id,
          budget: "typable_pressure",
          subject: pressed.client_id,
          count: 1,
          window_ends_at: new Date(storage.now() + HOUR).toISOString(),
        })
        .execute(),
    );
    expect(await redeem(storage, redeemInput(storage, pressed, "typable", short.code))).toMatchObject({
      won: false,
      pressed: true,
      code: null,
    });
    const long = await insertCode(storage, pressed, { length: 13, person: "x:somebody-else", user_id: login.user_id });
    expect((await redeem(storage, redeemInput(storage, pressed, "typable", long.code, { length: 13 }))).won).toBe(true);
    expect(
      (await redeem(storage, redeemInput(storage, pressed, "typable", short.code, { person: pressed.user_id }))).won,
    ).toBe(true);
  });

  it("knows a code by the digest of any key, whichever is asked for first", async () => {
    for (const kind of ["typable", "numeric", "link"] as const) {
      for (const place of [0, 1]) {
        const { id, code } = await insertCode(storage, login, { format: kind });
        const input = redeemInput(storage, login, kind, code);
        const digests = input.digests.toSpliced(place, 0, "00".repeat(32));
        expect(await redeem(storage, { ...input, digests }), `${kind} ${place}`).toMatchObject({
          won: true,
          fits: true,
          code: { id },
        });
      }
    }
  });

  it("lets exactly one of 50 parallel redemptions win, for each format", async () => {
    for (const kind of ["typable", "numeric", "link"] as const) {
      const { code } = await insertCode(storage, login, { format: kind });
      const answers = await Promise.all(
        Array.from({ length: 50 }, () => redeem(storage, redeemInput(storage, login, kind, code))),
      );
      expect(answers.filter(({ won }) => won)).toHaveLength(1);
      expect(answers.every(({ won, locked, code: row }) => won || row?.spent_at !== null || !locked)).toBe(true);
    }
  });

  it("lets one of several siblings win when all are redeemed at once", async () => {
    for (let round = 0; round < 10; round++) {
      const codes = [
        ["typable", await insertCode(storage, login)],
        ["typable", await insertCode(storage, login)],
        ["numeric", await insertCode(storage, login, { format: "numeric" })],
        ["link", await insertCode(storage, login, { format: "link" })],
      ] as const;
      const answers = await Promise.all(
        codes.map(([kind, { code }]) => redeem(storage, redeemInput(storage, login, kind, code))),
      );
      expect(answers.filter(({ won }) => won)).toHaveLength(1);
    }
  });

  it("compares five of 200 parallel wrong guesses; then the right code is not compared either", async () => {
    const victim = await insertLogin(storage);
    const { id, code } = await insertCode(storage, victim, { format: "numeric" });
    const guesses = wrongGuesses(reveal(code), 200);
    const answers = await Promise.all(
      guesses.map((guess) => redeem(storage, redeemInput(storage, victim, "numeric", guess))),
    );
    expect(answers.filter(({ wrong }) => wrong)).toHaveLength(5);
    expect(answers.filter(({ exhausted_until }) => exhausted_until !== null)).toHaveLength(195);
    const right = await redeem(storage, redeemInput(storage, victim, "numeric", code));
    expect(right).toMatchObject({ won: false, exhausted_until: expect.any(String), window: { count: 5 } });
    expect(await selectCode(storage, id)).toMatchObject({ guesses: 5, spent_at: null });
  });

  it("gives no guess back for a new code", async () => {
    const victim = await insertLogin(storage);
    const compared = [];
    for (let round = 0; round < 4; round++) {
      const { code } = await insertCode(storage, victim, { format: "numeric" });
      for (const guess of wrongGuesses(reveal(code), 8)) {
        const input = redeemInput(storage, victim, "numeric", guess);
        const answer = await redeem(storage, input);
        if (answer.window && answer.exhausted_until === null)
          compared.push(wasCompared(answer.window, { ...answer, limit: 10 }));
      }
    }
    expect(compared.filter(Boolean)).toHaveLength(10);
    const { code } = await insertCode(storage, victim, { format: "numeric" });
    expect((await redeem(storage, redeemInput(storage, victim, "numeric", code))).won).toBe(false);
    const typable = await insertCode(storage, victim);
    expect((await redeem(storage, redeemInput(storage, victim, "typable", typable.code))).won).toBe(true);
  });

  it("does not count a right code that was used or has expired as a guess", async () => {
    const victim = await insertLogin(storage);
    const used = await insertCode(storage, victim, { format: "numeric" });
    await redeem(storage, redeemInput(storage, victim, "numeric", used.code));
    const old = await insertCode(storage, victim, { format: "numeric", created_at: storage.now() - HOUR });
    for (const { code } of [used, old]) {
      expect(await redeem(storage, redeemInput(storage, victim, "numeric", code))).toMatchObject({
        wrong: false,
        window: { count: 0 },
      });
    }
  });

  it("treats a code that wrong guesses have killed like any other wrong guess, while a newer one lives", async () => {
    const victim = await insertLogin(storage);
    const dead = await insertCode(storage, victim, { format: "numeric" });
    for (const guess of wrongGuesses(reveal(dead.code), 5))
      await redeem(storage, redeemInput(storage, victim, "numeric", guess));
    const live = await insertCode(storage, victim, { format: "numeric" });
    const answer = await redeem(storage, redeemInput(storage, victim, "numeric", dead.code));
    expect(answer).toMatchObject({ won: false, wrong: true, window: { count: 6 } });
    expect((await redeem(storage, redeemInput(storage, victim, "numeric", live.code))).won).toBe(true);
  });

  const SHORT = "keeps the window as guess-window.ts says, whatever the order of guesses, successes and pauses";
  it.each([
    [SHORT, 0],
    [`${SHORT}, and takes no right code for one that a second factor follows`, 1],
  ])("%s", async (_title, second_factor) => {
    const step = fc.record({
      pause: fc.integer({ min: 0, max: 30 * HOUR }),
      act: fc.constantFrom("wrong", "wrong", "wrong", "numeric", "typable"),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 120 }), async (steps) => {
        const victim = await insertLogin(storage);
        await storage.write((tx) =>
          tx.db.updateTable("users").set({ second_factor }).where("id", "=", victim.user_id).execute(),
        );
        let at = Date.parse("2026-01-01T00:00:00.000Z");
        let expected: GuessWindow | undefined;
        for (const { pause, act } of steps) {
          // Most pauses are short, so that windows fill; some outlive any window.
          at += pause % 7 === 0 ? pause : pause % 60_000;
          const now = new Date(at).toISOString();
          const kind = act === "typable" ? "typable" : "numeric";
          const { id, code } = await insertCode(storage, victim, { format: kind, created_at: at, lifetime: 600_000 });
          const guess = act === "wrong" ? (wrongGuesses(reveal(code), 1)[0] ?? "") : code;
          const answer = await redeem(storage, redeemInput(storage, victim, kind, guess, { at }));
          await storage.write((tx) => tx.db.deleteFrom("verification_codes").where("id", "=", id).execute());
          const right = act !== "wrong" && second_factor === 0;
          const next = { now, limit: 10, wrong: act === "wrong", right, strong: act === "typable" };
          if (act !== "typable" || (expected && (expected.level > 0 || expected.failures > 0)))
            expected = nextWindow(expected, next);
          if (act !== "typable") expect(answer.window).toEqual(expected);
          expect(answer.won).toBe(
            act === "typable" || (act === "numeric" && expected !== undefined && wasCompared(expected, next)),
          );
        }
      }),
      { numRuns: second_factor === 0 ? 12 : 6 },
    );
  });
});
