import { expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage } from "../../../test/support/engines.ts";
import { senderOn, sms } from "../../../test/support/sender.ts";
import { countSubjects } from "../../../test/support/used-up.ts";
import { test_keys } from "../../../test/support/verification.ts";
import { type Ground, onGround, openRoom } from "../../../test/support/verification-room.ts";
import { takeBudget } from "../../limits/limits.ts";
import { siteSubject, sourceSubject } from "../../limits/source.ts";
import type { SendRequest } from "./send.ts";

const MINUTE = 60_000;

describeOnBothEngines("how much may be sent", (engine) => {
  let { storage, room, now } = {} as Ground;
  onGround(engine, (ground) => {
    ({ storage, room, now } = ground);
  });
  const { open, send, waitOf, waits, waitsApart, of, events, withheldFrom } = senderOn(() => ({ storage, room, now }));

  it("counts by identifier, by source, and by both; the longest wait is the one that is told", async () => {
    const who = await open();
    const at = (source: string | null, n = 0, fields: Partial<SendRequest> = {}) =>
      ({ source, email: `p${n}@example.com`, ...fields }) as const;
    expect(await waitsApart(6, who, at("a"))).toEqual([0, 0, 0, 0, 0, 900]);
    expect(await waitsApart(5, who, at("b"))).toEqual([0, 0, 0, 0, 0]);
    expect(await waitsApart(11, who, at(null))).toEqual([...Array(10).fill(0), 3_600]);
    expect(await waitOf(who, at("c", 0, { now: now + 60 * MINUTE }))).toBe(0);
    const crowd = await open();
    expect(await waits(6, crowd, at("a"))).toEqual([0, 0, 0, 0, 0, 900]);
    for (let n = 1; n <= 45; n++) expect(await waitOf(crowd, at("a", n))).toBe(0);
    expect(await waitOf(crowd, at("a", 50))).toBe(3_600);
    expect(await waitOf(crowd, at("a")), "of a quarter of an hour and an hour").toBe(3_600);
    expect([await waitOf(crowd, at("b", 51)), await waitOf(crowd, at(null, 52))]).toEqual([0, 0]);
  });

  it("takes one of what a recipient may get for all that a login asks for within half a minute, and nothing where that was refused", async () => {
    const who = await open();
    const taken = async () => {
      const of = storage.read.selectFrom("budgets").select("count").where("account_id", "=", who.account_id);
      const rows = await of.where("budget", "in", ["send_identifier", "send_own"]).orderBy("count").execute();
      return rows.map(({ count }) => Number(count));
    };
    const refused = { account: { client_sends_per_minute: 1 } };
    expect([await waitOf(who, { email: "else@example.com" }), await waitOf(who, {}, refused)]).toEqual([0, 60]);
    expect(await Promise.all(Array.from({ length: 30 }, () => waitOf(who)))).toEqual(Array(30).fill(0));
    expect([await waitOf(who, { now: now + MINUTE / 2 - 1 }), await taken()]).toEqual([0, [1, 1]]);
    expect(await withheldFrom(who)).toHaveLength(33);
    expect([await waitOf(who, { now: now + MINUTE / 2 }), await taken()]).toEqual([0, [1, 2]]);
    expect(await waits(2, who, { now: now + MINUTE, own: "admin" })).toEqual([0, 0]);
    expect(await waits(2, who, { now: now + MINUTE, connection: sms })).toEqual([0, 0]);
    expect(await taken()).toEqual([1, 1, 3]);
  });

  it("begins no pause that nobody pays for, whoever is refused at once", async () => {
    const who = await open();
    const rows = () =>
      storage.read
        .selectFrom("budgets")
        .select(["subject", "count"])
        .where("account_id", "=", who.account_id)
        .where("budget", "=", "send_identifier")
        .execute();
    const taken = async () => (await rows()).map(({ count }) => Number(count));
    // From a everything that it may send to them has gone out, and nobody has been refused there yet.
    expect(await waitsApart(5, who, { source: "a" })).toEqual(Array(5).fill(0));
    const later = { now: now + MINUTE };
    const from = (source: string, fields: Partial<SendRequest> = later) => waitOf(who, { source, ...fields });
    const [one, two, three] = await Promise.all([from("a"), from("a"), from("b")]);
    expect([one, two, three]).toEqual([840, 840, 0]);
    expect([await from("c"), await taken()], "the same message").toEqual([0, [6]]);
    const last = { now: now + 2 * MINUTE };
    await takeBudget(
      storage,
      { account_id: who.account_id, budget: "send_identifier", subject: (await rows())[0]?.subject ?? "", cost: 13 },
      now,
    );
    expect([await from("d", last), await taken()]).toEqual([0, [20]]);
    const none_left = { now: now + 3 * MINUTE };
    expect(await Promise.all([from("e", none_left), from("f", none_left), from("g", none_left)])).toEqual(
      Array(3).fill(3_420),
    );
  });

  it("looks once before it takes, and takes nothing of the caller's own for what their client may not send", async () => {
    const who = await open();
    let looks = 0;
    const watched = await openTestStorage(engine, (sql) => {
      if (/from budgets.* union all /s.test(sql)) looks += 1;
    });
    const sender = senderOn(() => ({ storage: watched.storage, room: openRoom(watched.storage), now }));
    for (const own of [null, "admin"]) {
      looks = 0;
      expect(await sender.waitOf(await sender.open(), { source: "a", own })).toBe(0);
      expect(looks, `${own}`).toBe(1);
    }
    await watched.close();
    const settings = { account: { client_sends_per_minute: 1 } };
    const own = { own: "admin" };
    expect(await waitsApart(6, who, own, settings)).toEqual([0, 60, 60, 60, 60, 60]);
    const later = { ...own, now: now + MINUTE };
    expect(await waitsApart(5, who, later), "four of five are left, and then the common ones").toEqual(
      Array(5).fill(0),
    );
    const mine = storage.read.selectFrom("budgets").select("count").where("account_id", "=", who.account_id);
    expect((await mine.where("budget", "=", "send_own").execute()).map(({ count }) => Number(count))).toEqual([6]);
    const paused = mine.where("budget", "=", "send_pause").where("count", ">", 0);
    expect(await paused.execute(), "of those that were sent").toHaveLength(6);
  });

  it("counts by client, and refuses with a line in the audit trail and nothing else", async () => {
    const who = await open();
    const settings = { account: { client_sends_per_minute: 2 } };
    expect(await waits(2, who, {}, settings)).toEqual([0, 0]);
    const rows = async () =>
      [await of("verification_codes", who), await of("login_sessions", who), await of("outbox", who)].flat().length;
    const [before, nudges] = [await rows(), room.nudges()];
    expect(await waitOf(who, { now: now + 15_000 }, settings)).toBe(45);
    expect([await rows(), room.nudges()]).toEqual([before, nudges]);
    expect((await events(who)).at(-1)).toMatchObject({
      outcome: "failure",
      entity: who.user_id,
      context: { code_id: null, withheld: "limit" },
    });
    expect(await waitOf(who, { now: now + MINUTE }, settings)).toBe(0);
  });

  it("leaves an administrator five sends to each person that nobody else can spend; after them the common ones", async () => {
    const who = await open();
    const stranger = { source: "a" };
    expect(await waits(6, who, stranger)).toEqual([0, 0, 0, 0, 0, 900]);
    const own = { source: "a", own: "admin" };
    expect(await waitsApart(6, who, own)).toEqual([0, 0, 0, 0, 0, 900]);
    expect(await waitOf(who, { ...own, email: "else@example.com" })).toBe(0);
    expect(await waitOf(who, { ...own, own: "another" })).toBe(0);
    const calm = await open();
    expect(await waitsApart(5, calm, { own: "admin" })).toEqual(Array(5).fill(0));
    expect(await waitsApart(21, calm), "none of which was a common one").toEqual([...Array(20).fill(0), 3_600]);
  });

  it("counts what somebody has of their own by client as well, apart from what strangers use up", async () => {
    const who = await open();
    const settings = { account: { client_sends_per_minute: 2 } };
    const stranger = (n: number) => ({ source: `2001:db8:1:${n}::`, email: `p${n}@example.com` });
    for (const [n, wait] of [0, 0, 60, 60].entries()) expect(await waitOf(who, stranger(n), settings)).toBe(wait);
    expect(await waitsApart(3, who, { own: "admin" }, settings)).toEqual([0, 0, 60]);
    expect(await waitOf(who, { now: now + MINUTE, own: "browser" }, settings)).toBe(0);
  });

  it("takes nothing that others share for what somebody asks again in a pause of their own, and soon counts it as anybody's", async () => {
    const who = await open();
    const settings = { account: { client_sends_per_minute: 2 } };
    const mine = { source: "a", own: "browser" };
    expect(await waits(15, who, mine, settings)).toEqual([...Array(12).fill(0), 60, 60, 60]);
    expect(await waitOf(who, { source: "b", own: "another" }, settings), "in that pause").toBe(60);
    const elsewhere = { email: "else@example.com", source: "b", own: "another" };
    expect(await waitOf(who, elsewhere, settings), "that somebody has of their own").toBe(0);
  });

  it("asks of a login whose code was closed what its source and client may send, and takes nothing of its recipient's", async () => {
    const who = await open();
    const { login_session_id } = await send(who);
    await waitsApart(19, who);
    const closed = { login_session_id, in_place_of_closed: true };
    const later = { now: now + MINUTE / 2 };
    expect([await waitOf(who, closed), await waitOf(who, { login_session_id, ...later })]).toEqual([0, 3_570]);
    expect(await waitOf(who, { in_place_of_closed: true, ...later }), "one that only begins").toBe(3_570);
    const subject = sourceSubject(test_keys, who.account_id, "a");
    await takeBudget(storage, { account_id: who.account_id, budget: "send_source", subject, cost: 49 }, now);
    expect(await waits(2, who, { ...closed, source: "a" })).toEqual([0, 3_600]);
    expect(await waitOf(who, closed, { account: { client_sends_per_minute: 23 } })).toBe(0);
    expect(await waitOf(who, closed, { account: { client_sends_per_minute: 23 } })).toBe(60);
  });

  it("counts the networks of one IPv6 site together too, so that whoever has one does not use up a client's", async () => {
    const who = await open();
    const from = (n: number) => ({ source: `2001:db8:a:${n.toString(16)}::1`, email: `p${n % 100}@example.com` });
    const subject = siteSubject(test_keys, who.account_id, from(0).source) ?? "";
    await takeBudget(storage, { account_id: who.account_id, budget: "send_site", subject, cost: 994 }, now);
    expect(await waits(60, who, from(0)), "what one network may not send takes nothing of the site's").toContain(900);
    expect(await waitOf(who, from(1))).toBe(0);
    for (let n = 2; n <= 4; n++) expect(await waitOf(who, from(n))).toBe(3_600);
    expect(await countSubjects(storage, who, "send_source"), "networks that the site refuses leave nothing").toBe(2);
    expect(await waitOf(who, { ...from(9), source: "2001:db8:b::1" }), "from another site").toBe(0);
    expect(await waitOf(who, { ...from(9), own: "browser" }), "in a browser that knows its person").toBe(0);
  });

  it("takes nothing of what people share for what a source may not send any more", async () => {
    const settings = { account: { client_sends_per_minute: 60 } };
    const from = (source: string, n = 0, fields: Partial<SendRequest> = {}) =>
      ({ source, email: `p${n}@example.com`, ...fields }) as const;
    const who = await open();
    expect(await waits(30, who, from("a"), settings)).toEqual([...Array(5).fill(0), ...Array(25).fill(900)]);
    expect(await waits(5, who, from("b"), settings), "to the same address").toEqual(Array(5).fill(0));
    const all: unknown[] = [];
    for (let n = 1; n <= 80; n++) all.push(await waitOf(who, from("a", n), settings));
    expect(all).toEqual([...Array(45).fill(0), ...Array(35).fill(3_600)]);
    const rows = storage.read.selectFrom("budgets").select("subject").where("account_id", "=", who.account_id);
    const named = await rows.where("budget", "=", "send_identifier_source").execute();
    expect(named, "addresses that were never sent to leave nothing").toHaveLength(47);
    expect(await waitOf(who, from("b", 81), settings), "through the same client").toBe(0);
    const own = from("a", 82, { own: "browser" });
    expect(await waitsApart(65, who, own, settings)).toEqual([...Array(5).fill(0), ...Array(60).fill(3_600)]);
    expect(await waitOf(who, from("c", 83), settings), "after one who had sends of their own").toBe(0);
  });

  it("takes nothing of a client's or a network's sends for what one identifier may not get any more", async () => {
    const who = await open();
    const settings = { account: { client_sends_per_minute: 30 } };
    expect(await waitsApart(50, who, {}, settings)).toEqual([...Array(20).fill(0), ...Array(30).fill(3_600)]);
    expect(await waitOf(who, { email: "else@example.com" }, settings), "to another").toBe(0);
    const near = { source: "a", email: "near@example.com" };
    expect(await waits(60, who, near, { account: {} })).toEqual([...Array(5).fill(0), ...Array(55).fill(900)]);
    expect(await waitOf(who, { source: "a", email: "beside@example.com" }), "from the same network").toBe(0);
  });

  it("leaves an event of what a window refuses first, and of one client's no more than a hundred an hour", async () => {
    const who = await open();
    const refused = async () => (await withheldFrom(who)).filter((why) => why === "limit").length;
    const near = { source: "a", email: "near@example.com" };
    await waits(12, who, near);
    expect(await refused()).toBe(1);
    const subject = sourceSubject(test_keys, who.account_id, "a");
    await takeBudget(storage, { account_id: who.account_id, budget: "send_source", subject, cost: 44 }, now);
    await waits(8, who, { ...near, email: "other@example.com" });
    expect(await refused(), "the first that the network may not send, and none of another address there").toBe(2);
    const noted = { account_id: who.account_id, budget: "send_refused", subject: who.client_id } as const;
    await takeBudget(storage, { ...noted, cost: 97 }, now);
    for (const source of ["b", "c", "d"]) await waits(6, who, { source, email: `${source}@example.com` });
    expect(await refused()).toBe(3);
  });
});
