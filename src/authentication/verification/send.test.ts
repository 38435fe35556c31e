import { expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage } from "../../../test/support/engines.ts";
import { emailOf, facts, senderOn, sms } from "../../../test/support/sender.ts";
import { insertLogin, type Login, test_keys } from "../../../test/support/verification.ts";
import {
  accountOf,
  clientOf,
  type Ground,
  onGround,
  openRoom,
  public_url,
  refusalOf,
} from "../../../test/support/verification-room.ts";
import { instant, type Storage } from "../../storage/storage.ts";
import { type CodeFormat, deriveCode } from "../codes/code.ts";
import { leaveAddress } from "./leave-address.ts";
import { sendClosingNotice } from "./notice.ts";
import { redeemCode } from "./redeem.ts";
import { sendCode } from "./send.ts";

const MINUTE = 60_000;

/** Runs `then` once, when something has been counted. */
function hotThen(storage: Storage, then: () => Promise<void>): Storage["hot"] {
  let after: Promise<void> | undefined;
  return async (statement, input) => {
    const answer = await storage.hot(statement, input);
    after ??= then();
    await after;
    return answer;
  };
}

describeOnBothEngines("sendCode", (engine) => {
  let { storage, room, now } = {} as Ground;
  onGround(engine, (ground) => {
    ({ storage, room, now } = ground);
  });

  const { open, requestOf, send, waits, of, events, withheldFrom } = senderOn(() => ({ storage, room, now }));
  /** A change of address, as far as codes are concerned. */
  const leave = (who: Login) =>
    storage.write(async (tx) => {
      const email = `new-${emailOf(who)}`;
      const change = tx.db.updateTable("users").set({ email, email_canonical: email });
      await change.where("account_id", "=", who.account_id).where("id", "=", who.user_id).execute();
      await leaveAddress(tx, who, now);
    });

  it("keeps a session and a code, puts a message in the outbox, and writes down what it did", async () => {
    const who = await open();
    const audience = `https://api.dintero.com/v1/accounts/${who.account_id}`;
    const before = room.nudges();
    const { login_session_id } = await send(who, { audience }, { account: { code_lifetime: 90 } });
    expect(room.nudges()).toBe(before + 1);
    const [code, ...codes] = await of("verification_codes", who);
    const common = {
      ...{ account_id: who.account_id, client_id: who.client_id, person: who.user_id, user_id: who.user_id },
      ...{ audience: `${public_url}/v1/accounts/${who.account_id}`, email: emailOf(who), phone_number: null },
      ...{ created_at: instant(now), expires_at: instant(now + 90_000) },
    };
    const times = { last_sent_at: instant(now), spent_at: null };
    expect(code).toMatchObject({ ...common, ...times, connections: "email", signup: 0, link_digest: null });
    expect(codes).toEqual([]);
    expect(await of("login_sessions", who)).toEqual([
      { ...common, id: login_session_id, code_id: code?.id, identifier: expect.any(String) },
    ]);
    expect(await of("outbox", who)).toHaveLength(1);
    expect(await events(who)).toEqual([
      {
        ...{ account_id: who.account_id, id: expect.any(String), created_at: instant(now), actor: "caller" },
        ...{ action: "verification_code.sent", outcome: "success", entity: who.user_id },
        context: { ...facts, client_id: who.client_id, connection: "email", code_id: code?.id },
      },
    ]);
  });

  it("sends nothing to an address that its person left while the send was counted", async () => {
    const who = await open();
    const counted = openRoom({ ...storage, hot: hotThen(storage, () => leave(who)) });
    await sendCode(counted, requestOf(who, {}, {}));
    expect(await withheldFrom(who)).toEqual(["nobody to send to"]);
    expect(await of("outbox", who)).toMatchObject([{ channel: "none" }]);
    expect(await of("verification_codes", who)).toMatchObject([{ email: null }]);
  });

  it("tells nobody that numeric codes closed at an address that its person left meanwhile", async () => {
    const who = await open();
    let leaving: Promise<void> | undefined;
    const write: Storage["write"] = async (work) => {
      leaving ??= leave(who);
      await leaving;
      return storage.write(work);
    };
    const { audience, user_id: person } = who;
    const about = { audience, person, window: { window_ends_at: instant(now + 3_600_000) } };
    const closing = { account: accountOf(who), client: clientOf(who), ...about, actor: "caller", facts, now };
    await sendClosingNotice(openRoom({ ...storage, write }), closing);
    expect(await of("outbox", who)).toMatchObject([{ kind: "notice", channel: "none" }]);
    expect(await of("verification_codes", who)).toMatchObject([{ email: null }]);
  });

  it("leaves no code alive that went to an address while its person left it", async () => {
    const who = await open();
    let leaving: Promise<void> | undefined;
    const write: Storage["write"] = (work) =>
      storage.write(async (tx) => {
        const result = await work(tx);
        // The send is complete but for its commit.
        leaving ??= leave(who);
        if (engine === "postgres") await new Promise((resolve) => setTimeout(resolve, 200));
        return result;
      });
    await sendCode(openRoom({ ...storage, write }), requestOf(who, {}, {}));
    await leaving;
    expect(await of("verification_codes", who)).toMatchObject([{ spent_at: expect.any(String) }]);
  });

  it("leads to the client's page where it has one, by a link that is worth the code", async () => {
    const who = await open();
    await send(who, {}, { client: { login_uri: "https://shop.example/in" } });
    const [row] = await storage.read
      .selectFrom("verification_codes")
      .selectAll()
      .where("account_id", "=", who.account_id)
      .execute();
    if (!row) throw new Error("no code");
    const link = deriveCode(test_keys, { ...row, format: row.format as CodeFormat }, "link");
    if (!link) throw new Error("no link");
    const about = { account: accountOf(who), client: clientOf(who), grant_id: who.grant_id, audience: who.audience };
    const presented = { ...about, verification_code: link, actor: "caller", facts, now };
    expect((await redeemCode(room, presented)).user_id).toBe(who.user_id);
  });

  it("resends within a session of this client and audience, and begins anew when it has ended", async () => {
    const who = await open();
    const other = await insertLogin(storage, { account_id: who.account_id });
    const login_session_id = "mine";
    await send(who, { login_session_id });
    const foreign = [
      refusalOf(send(who, { login_session_id, client: clientOf(other) })),
      refusalOf(send(who, { login_session_id, audience: "https://other.example" })),
    ];
    for (const { code, options } of await Promise.all(foreign))
      expect([code, options?.errors?.[0]?.path]).toEqual(["invalid_request", "login_session_id"]);
    await send(who, { login_session_id, connection: sms, now: now + MINUTE });
    expect(await of("verification_codes", who)).toMatchObject([{ connections: "email sms" }]);
    await send(who, { login_session_id, now: now + 10 * MINUTE });
    expect(await of("verification_codes", who)).toHaveLength(2);
    expect(await of("login_sessions", who)).toMatchObject([{ created_at: instant(now + 10 * MINUTE) }]);
    await storage.write((tx) =>
      tx.db
        .updateTable("verification_codes")
        .set({ spent_at: instant(now) })
        .where("account_id", "=", who.account_id)
        .execute(),
    );
    const nudges = room.nudges();
    expect(await send(who, { login_session_id, now: now + 12 * MINUTE })).toEqual({ login_session_id });
    expect(room.nudges(), "as if something went out").toBe(nudges + 1);
    expect((await events(who)).at(-1)).toMatchObject({
      outcome: "failure",
      context: { code_id: null, withheld: "the code was redeemed" },
    });
  });

  it("makes no second code beside one that was sent a moment ago", async () => {
    const who = await open();
    for (const seconds of [0, 299, 301, 328]) await send(who, { now: now + seconds * 1_000 });
    expect(await of("verification_codes", who)).toHaveLength(1);
    expect(await withheldFrom(who)).toEqual(["sent", "sent", "sent a moment ago", "sent a moment ago"]);
    await send(who, { now: now + 329 * 1_000 });
    expect(await of("verification_codes", who)).toHaveLength(2);
  });

  it("gives one session to eight who ask for it at once, and one code", async () => {
    const who = await open();
    const all = await Promise.all(Array.from({ length: 8 }, () => send(who, { login_session_id: "raced" })));
    expect(all).toEqual(Array(8).fill({ login_session_id: "raced" }));
    expect(await of("login_sessions", who)).toHaveLength(1);
    expect(await of("verification_codes", who)).toHaveLength(1);
    expect((await withheldFrom(who)).toSorted()).toEqual(["sent", ...Array(7).fill("sent a moment ago")].toSorted());
  });

  it("gives up where a session is taken that it cannot see, again and again: come back later, counted once", async () => {
    const who = await open();
    await send(who, { login_session_id: "hidden" });
    const elsewhere = await openTestStorage(engine);
    // A reading that lags behind, as a replica's would.
    const lagging = openRoom({ ...storage, read: elsewhere.storage.read });
    const somebody = { email: "somebody@example.com", source: "a" };
    const request = requestOf(who, { login_session_id: "hidden", ...somebody }, {});
    const { code, options } = await refusalOf(sendCode(lagging, request));
    await elsewhere.close();
    expect([code, options?.retry_after]).toEqual(["temporarily_unavailable", 1]);
    expect([await of("login_sessions", who), await of("verification_codes", who)].map(({ length }) => length)).toEqual([
      1, 1,
    ]);
    expect(lagging.nudges()).toBe(0);
    expect(await waits(5, who, somebody), "after the one").toEqual([0, 0, 0, 0, 900]);
  });

  it("gives one code for each connection to eight who name one person at once, by address and by number", async () => {
    const who = await open();
    const phone_number = "+4740000003";
    const kept = { phone_number, phone_verified_at: instant(now) };
    await storage.write((tx) => tx.db.updateTable("users").set(kept).where("id", "=", who.user_id).execute());
    const by_number = { connection: sms, email: undefined, phone_number };
    const settings = { client: { code_format: "typable" } } as const;
    await Promise.all(Array.from({ length: 8 }, () => of("outbox", who)));
    await Promise.all(Array.from({ length: 8 }, (_, n) => send(who, n % 2 === 0 ? by_number : {}, settings)));
    expect(await of("login_sessions", who)).toHaveLength(8);
    const codes = (await of("verification_codes", who)) as readonly object[];
    expect(codes.map((code) => "connections" in code && code.connections).toSorted()).toEqual(["email", "sms"]);
  });

  it("gives it to the first of two people who are named in it at once, and to the other nothing", async () => {
    const who = await open();
    const other = await insertLogin(storage, { account_id: who.account_id });
    const ask = (person: Login) => send(who, { login_session_id: "raced", email: emailOf(person) });
    await Promise.all([ask(who), ask(other)]);
    const [session] = await of("login_sessions", who);
    const codes = await of("verification_codes", who);
    expect(codes.map(({ id, person }) => [id, person])).toEqual([[session?.code_id, session?.person]]);
    expect((await withheldFrom(who)).toSorted()).toEqual(["sent", "sent a moment ago"]);
  });

  it("does not take a fault for a race", async () => {
    const who = await open();
    const unprintable = { ...facts, request_id: 1n } as never;
    await expect(send(who, { facts: unprintable })).rejects.toThrow(TypeError);
    expect(await of("verification_codes", who)).toEqual([]);
  });
});
