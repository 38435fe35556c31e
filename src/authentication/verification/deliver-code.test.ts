import { expect, it } from "vitest";
import { describeOnBothEngines } from "../../../test/support/engines.ts";
import { emailOf, senderOn, sms } from "../../../test/support/sender.ts";
import type { Login } from "../../../test/support/verification.ts";
import { accountOf, type Ground, onGround } from "../../../test/support/verification-room.ts";
import { hostedLogin } from "../../directory/grants/audience.ts";
import { instant } from "../../storage/storage.ts";
import { awaitedCode } from "./awaited-code.ts";

const SECOND = 1_000;
const phone_number = "+4740000001";
const numeric = { client: { code_format: "numeric" } } as const;

describeOnBothEngines("the code that is sent", (engine) => {
  let { storage, room, now } = {} as Ground;
  onGround(engine, (ground) => {
    ({ storage, room, now } = ground);
  });
  const { open, send, of, events } = senderOn(() => ({ storage, room, now }));

  const after = (seconds: number) => ({ now: now + seconds * SECOND });
  const codes = (who: Login) =>
    storage.read
      .selectFrom("verification_codes")
      .selectAll()
      .where("account_id", "=", who.account_id)
      .orderBy("created_at")
      .execute();
  const setUser = (who: Login, fields: object) =>
    storage.write((tx) => tx.db.updateTable("users").set(fields).where("id", "=", who.user_id).execute());
  const setCodes = (who: Login, fields: object) =>
    storage.write((tx) =>
      tx.db.updateTable("verification_codes").set(fields).where("account_id", "=", who.account_id).execute(),
    );
  /** Closes the person's numeric codes by wrong guesses. */
  const close = ({ account_id, user_id: subject }: Login) =>
    storage.write((tx) =>
      tx.db
        .insertInto("budgets")
        .values({ account_id, budget: "numeric_guess", subject, count: 0, window_ends_at: instant(0), failures: 50 })
        .execute(),
    );
  /** Somebody with a number. */
  async function reachable(number = phone_number): Promise<Login> {
    const who = await open();
    await setUser(who, { phone_number: number, phone_verified_at: instant(now) });
    return who;
  }

  it("is the pending one for half of its life, then a second, and never a third", async () => {
    const who = await open();
    const sent = async (seconds: number, code_lifetime = 600) => {
      await send(who, after(seconds), { account: { code_lifetime } });
      return (await codes(who)).map(({ last_sent_at }) => (Date.parse(last_sent_at ?? "") - now) / SECOND);
    };
    expect(await sent(0)).toEqual([0]);
    expect(await sent(300)).toEqual([300]);
    expect(await sent(329, 60), "which was sent a moment ago").toEqual([300]);
    expect(await sent(330, 60)).toEqual([300, 330]);
    expect(await sent(370, 60), "though the second is old by now").toEqual([300, 370]);
  });

  it("goes out again over one connection after half a minute, also by a clock that was set back, and over another at once", async () => {
    const who = await reachable();
    const steps = [
      [0, "email", "sent"],
      [1, "sms", "sent"],
      [30, "email", "sent a moment ago"],
      [31, "email", "sent"],
      [1, "email", "sent"],
      [-28, "email", "sent a moment ago"],
    ] as const;
    for (const [seconds, name] of steps)
      await send(who, { login_session_id: "s", connection: { name, strategy: name }, ...after(seconds) });
    const all = await events(who);
    for (const [seconds, name, expected] of steps) {
      const isStep = (event: (typeof all)[number]) =>
        event.created_at === instant(now + seconds * SECOND) && event.context.connection === name;
      expect(all.find(isStep)?.context.withheld ?? "sent", `${seconds}`).toBe(expected);
    }
    expect(await codes(who)).toHaveLength(1);
  });

  it("went over one connection alone for who begins anew, save where two that went over both live already", async () => {
    const who = await reachable();
    for (const [login_session_id, seconds] of [
      ["a", 0],
      ["b", 60],
    ] as const) {
      await send(who, { login_session_id, ...after(seconds) });
      await send(who, { login_session_id, connection: sms, ...after(seconds + 1) });
    }
    await send(who, after(120));
    expect(await codes(who)).toMatchObject([
      { connections: "email sms", last_sent_at: instant(now + SECOND) },
      { connections: "email sms", last_sent_at: instant(now + 120 * SECOND) },
    ]);
  });

  it("goes out alone within half a minute, where another one lives that did; not in place of one that is worth nothing", async () => {
    const who = await reachable();
    const told = async (seconds: number, fields: Parameters<typeof send>[1] = {}) => {
      await send(who, { ...fields, ...after(seconds) }, numeric);
      const all = await events(who);
      return all.find(({ created_at }) => created_at === instant(now + seconds * SECOND))?.context.withheld ?? "sent";
    };
    const [a, b] = [{ login_session_id: "a" }, { login_session_id: "b" }];
    expect([await told(0, a), await told(400, b), await codes(who)]).toMatchObject(["sent", "sent", { length: 2 }]);
    expect(await told(401, a), "the other one of two").toBe("sent a moment ago");
    expect([await told(402, { ...a, connection: sms }), await told(430, a)]).toEqual(["sent", "sent a moment ago"]);
    expect(await told(432, a)).toBe("sent");
    await setCodes(who, { guesses: 5 });
    expect(await told(433, a), "in place of a dead one").toBe("sent");
    await setCodes(who, { spent_at: instant(now) });
    expect([await told(434), await told(435)]).toEqual(["sent", "sent a moment ago"]);
    const [c, d] = [{ login_session_id: "c" }, { login_session_id: "d" }];
    expect([await told(500, c), await told(501, { ...c, connection: sms })]).toEqual(["sent", "sent"]);
    expect([await told(502, d), (await codes(who)).length], "a new one, since that went elsewhere").toEqual([
      "sent a moment ago",
      5,
    ]);
    expect([await told(531, d), (await codes(who)).length]).toEqual(["sent", 5]);
  });

  it("is of the format that its client has now, and lives", async () => {
    const who = await open();
    await send(who);
    await send(who, after(60), numeric);
    await send(who, after(120), numeric);
    expect((await codes(who)).map(({ format }) => format)).toEqual(["typable", "numeric"]);
    await setCodes(who, { guesses: 5 });
    await send(who, after(180), numeric);
    expect((await codes(who)).map(({ format }) => format)).toEqual(["typable", "numeric", "numeric"]);
  });

  it("is the session's own, but where that is numeric and wrong guesses killed it, or closed those of the person", async () => {
    const who = await open();
    const login_session_id = "s";
    const became = async (at = now) => awaitedCode(storage, accountOf(who), login_session_id, at);
    const resend = async (seconds: number) => {
      await send(who, { login_session_id, ...after(seconds) }, numeric);
      const [session] = await of("login_sessions", who);
      const all = await codes(who);
      return [all.length, all.find(({ id }) => id === session?.code_id)?.format];
    };
    expect(await became(), "not begun").toBe("none");
    expect(await resend(0)).toEqual([1, "numeric"]);
    expect(await became()).toBe("open");
    expect(await resend(400), "also late in its life").toEqual([1, "numeric"]);
    await setCodes(who, { guesses: 4 });
    expect([await became(), await resend(440)]).toEqual(["open", [1, "numeric"]]);
    await setCodes(who, { guesses: 5 });
    expect([await became(), await resend(480)]).toEqual(["dead", [2, "numeric"]]);
    expect(await became()).toBe("open");
    await close(who);
    expect([await became(), await resend(520)]).toEqual(["closed", [3, "typable"]]);
    expect([await became(), await resend(560)], "which guesses do not close").toEqual(["open", [3, "typable"]]);
    expect([await became(now + 1_120 * SECOND - 1), await became(now + 1_120 * SECOND)]).toEqual(["open", "none"]);
    await setCodes(who, { spent_at: instant(now) });
    expect(await became()).toBe("none");
  });

  it("says whom it can have reached: where a message went out, and nowhere else", async () => {
    const who = await reachable("+46701234567");
    const reached = async (connection: "email" | "sms", seconds: number, sms_countries: string[] = []) => {
      const over = { name: connection, strategy: connection } as const;
      await send(who, { login_session_id: "s", connection: over, ...after(seconds) }, { account: { sms_countries } });
      const [code] = await codes(who);
      return [code?.connections, code?.email, code?.phone_number];
    };
    expect(await reached("email", 0)).toEqual(["email", emailOf(who), null]);
    expect(await reached("sms", 60)).toEqual(["email sms", emailOf(who), null]);
    expect(await reached("sms", 120, ["SE"])).toEqual(["email sms", emailOf(who), "+46701234567"]);
    const other = await reachable();
    for (const connection of [sms, { name: "email", strategy: "email" }] as const) {
      await send(other, { login_session_id: "t", connection, ...after(connection === sms ? 0 : 60) });
      expect((await codes(other))[0]).toMatchObject({
        ...{ connections: connection === sms ? "sms" : "sms email", phone_number },
        email: connection === sms ? null : emailOf(other),
      });
    }
  });

  it("comes in a message that says what it is for, in the language of the request, its person or its account", async () => {
    const told = async (
      who: Login,
      ...[fields, settings]: [Parameters<typeof send>[1]?, Parameters<typeof send>[2]?]
    ) => {
      await send(who, fields, settings);
      const payload = JSON.parse(
        (await of("outbox", who)).map((row) => (row as unknown as { payload: string }).payload).at(-1) ?? "{}",
      );
      return [payload.purpose, payload.locale];
    };
    const who = await open();
    expect(await told(who, {}, { account: { locale: "da" } })).toEqual(["login", "da"]);
    await setUser(who, { locale: "nb" });
    expect(await told(who, after(60), { account: { locale: "da" } })).toEqual(["login", "nb"]);
    expect(await told(who, { locale: "sv", ...after(120) })).toEqual(["login", "sv"]);
    const reset = { purpose: "password_reset" } as const;
    expect(await told(who, { ...reset, ...after(180) })).toEqual(["password_reset", "nb"]);
    const stranger = { email: "new@example.com", login_session_id: "new" };
    for (const seconds of [240, 280])
      expect(await told(who, { ...stranger, ...after(seconds) }, { client: { signup: true } })).toEqual([
        "signup",
        "en",
      ]);
    await close(who);
    expect((await told(who, after(300), numeric))[0], "where numeric ones are awaited").toBe("numeric_closed");
    expect((await told(who, after(360)))[0]).toBe("login");
    const at_page = { audience: hostedLogin("login-1"), ...after(420) };
    expect((await told(who, at_page, numeric))[0], "on our own page, which tells that itself").toBe("login");
  });
});
