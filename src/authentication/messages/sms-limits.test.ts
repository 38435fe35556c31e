import { expect, it } from "vitest";
import { describeOnBothEngines } from "../../../test/support/engines.ts";
import { senderOn, sms } from "../../../test/support/sender.ts";
import { type Ground, onGround } from "../../../test/support/verification-room.ts";
import type { AccountSettings } from "../../directory/accounts/settings.ts";
import { takeBudget } from "../../limits/limits.ts";
import { instant } from "../../storage/storage.ts";
import type { SendRequest } from "../verification/send.ts";
import { enteredFrom } from "./sms-limits.ts";

const MINUTE = 60_000;

describeOnBothEngines("which SMS go out", (engine) => {
  let { storage, room, now } = {} as Ground;
  onGround(engine, (ground) => {
    ({ storage, room, now } = ground);
  });
  const { open, send, events, withheldFrom } = senderOn(() => ({ storage, room, now }));

  it("sends SMS to the account's countries alone, so many a day, and says so in the audit trail alone", async () => {
    const who = await open();
    const numbers = ["+4740000001", "+46701234567", "+4740000002", "+80012345678"];
    const [mine = "", swedish = "", second = "", nowhere = ""] = numbers;
    const text = async (phone_number: string, at: number, account: Partial<AccountSettings>) => {
      const fields = { connection: sms, email: undefined, phone_number, now: at };
      await send(who, fields, { account, client: { signup: true } });
      return (await withheldFrom(who)).at(-1);
    };
    const steps: [string, Partial<AccountSettings>, string][] = [
      [swedish, {}, "country not allowed"],
      [nowhere, {}, "country not allowed"],
      [mine, { sms_countries: ["SE", "DK"] }, "country not allowed"],
      [swedish, { sms_countries: ["SE", "DK"] }, "sent"],
      [mine, { sms_daily_budget: 1 }, "daily budget used up"],
      [second, { sms_daily_budget: 2 }, "sent"],
    ];
    for (const [index, [number, account, expected]] of steps.entries())
      expect(await text(number, now + index * MINUTE, account), `${number} ${expected}`).toBe(expected);
  });

  it("counts no SMS that the daily budget withheld, neither by day nor by range of numbers", async () => {
    const who = await open();
    const text = (n: number, sms_daily_budget: number) => {
      const phone_number = `+474000${String(n).padStart(4, "0")}`;
      const fields = { connection: sms, email: undefined, phone_number, now: now + n };
      return send(who, fields, { account: { sms_daily_budget }, client: { signup: true } });
    };
    for (let n = 0; n <= 60; n++) await text(n, 1);
    await text(61, 2);
    await text(62, 2);
    const used_up = "daily budget used up";
    expect(await withheldFrom(who)).toEqual(["sent", ...Array(60).fill(used_up), "sent", used_up]);
  });

  it("withholds SMS to a number that the record holds and nobody can read", async () => {
    const who = await open();
    const kept = { phone_number: "12", phone_verified_at: instant(now) };
    await storage.write((tx) => tx.db.updateTable("users").set(kept).where("id", "=", who.user_id).execute());
    await send(who, { connection: sms });
    expect(await withheldFrom(who)).toEqual(["country not allowed"]);
  });

  it("stops a range of numbers of which too few codes are entered, and no other", async () => {
    const cases = [
      { sent: 50, entered: 9, stopped: true },
      { sent: 50, entered: 10, stopped: false },
      { sent: 49, entered: 1, stopped: false },
      { sent: 100, entered: 19, stopped: true },
      { sent: 100, entered: 20, stopped: false },
    ];
    for (const { sent, entered, stopped } of cases) {
      const who = await open();
      const window_ends_at = instant(now + MINUTE);
      const { account_id } = who;
      const rows = [
        { account_id, budget: "sms_prefix_sent", count: sent, window_ends_at, subject: "new +47400" },
        { account_id, budget: "sms_prefix_verified", count: entered - 1, window_ends_at, subject: "+47400" },
      ];
      await storage.write(({ db }) => db.insertInto("budgets").values(rows).execute());
      await takeBudget(storage, enteredFrom(who.account_id, "+4740000009"), now);
      const text = async (phone_number: string) => {
        await send(who, { connection: sms, email: undefined, phone_number }, { client: { signup: true } });
        const [event] = (await events(who)).filter(({ context }) => context.withheld);
        return event?.context.withheld;
      };
      expect(await text("+4741000001"), "another range").toBeUndefined();
      const expected = stopped ? "range of numbers is stopped" : undefined;
      expect(await text("+4740000001"), `${entered} of ${sent}`).toBe(expected);
    }
  });

  /** Gives the account's person a number; each step is a minute later than the one before. */
  async function known() {
    const who = await open();
    const theirs = { phone_number: "+4740009999", phone_verified_at: instant(now) };
    await storage.write((tx) => tx.db.updateTable("users").set(theirs).where("id", "=", who.user_id).execute());
    let steps = 0;
    const text = async (fields: Partial<SendRequest>, sms_daily_budget = 1_000) => {
      steps += 1;
      const settings = { account: { sms_daily_budget }, client: { signup: true } };
      await send(who, { connection: sms, now: now + steps * MINUTE, ...fields }, settings);
      return (await withheldFrom(who)).at(-1);
    };
    const textStranger = (n: number, sms_daily_budget?: number) =>
      text({ email: undefined, phone_number: `+474000${String(n).padStart(4, "0")}` }, sms_daily_budget);
    return { who, text, textStranger };
  }

  it("stops a range for numbers that nobody has yet, and not for people's own, nor for who sends for themselves", async () => {
    const { who, text, textStranger } = await known();
    const stopped = "range of numbers is stopped";
    for (let n = 0; n < 50; n++) expect(await textStranger(n)).toBe("sent");
    expect(await textStranger(50)).toBe(stopped);
    expect(await text({})).toBe("sent");
    const range = { account_id: who.account_id, budget: "sms_prefix_sent", subject: "+47400" } as const;
    await takeBudget(storage, { ...range, cost: 50 }, now + 52 * MINUTE);
    expect(await text({})).toBe(stopped);
    expect(await text({ own: "browser" })).toBe("sent");
  });

  it("keeps the last of a day's SMS for people's own numbers, and the very last for who sends for themselves", async () => {
    const { who, text, textStranger } = await known();
    const used_up = "daily budget used up";
    const day = { account_id: who.account_id, budget: "sms_daily", subject: who.account_id } as const;
    await takeBudget(storage, { ...day, cost: 14 }, now);
    expect([await textStranger(1, 20), await textStranger(2, 20)]).toEqual(["sent", used_up]);
    await takeBudget(storage, { ...day, cost: 2 }, now);
    expect([await text({}, 20), await text({}, 20)]).toEqual(["sent", used_up]);
    const own = { own: "browser" };
    expect([await text(own, 20), await text(own, 20), await text(own, 20)]).toEqual(["sent", "sent", used_up]);
  });
});
