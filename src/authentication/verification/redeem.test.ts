import { expect, it } from "vitest";
import { describeOnBothEngines } from "../../../test/support/engines.ts";
import { countSubjects } from "../../../test/support/used-up.ts";
import { insertCode, insertLogin, type Login, test_keys, wrongGuesses } from "../../../test/support/verification.ts";
import {
  accountOf,
  clientOf,
  type Ground,
  onGround,
  openRoom,
  refusalOf,
} from "../../../test/support/verification-room.ts";
import { listEvents } from "../../audit/list-events.ts";
import type { AccountSettings } from "../../directory/accounts/settings.ts";
import type { ClientSettings } from "../../directory/clients/settings.ts";
import { hostedLogin } from "../../directory/grants/audience.ts";
import { peekBudget, takeBudget } from "../../limits/limits.ts";
import { siteSubject, sourceSubject } from "../../limits/source.ts";
import { masterKeys } from "../../secrets/master-keys.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { type RedeemRequest, redeemCode } from "./redeem.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

interface Settings {
  readonly account?: Partial<AccountSettings>;
  readonly client?: Partial<ClientSettings>;
}

describeOnBothEngines("redeemCode", (engine) => {
  let { storage, room, now } = {} as Ground;
  let login: Login;
  onGround(engine, async (ground) => {
    ({ storage, room, now } = ground);
    login = await insertLogin(storage);
  });

  const requestOf = (who: Login, code: Secret | string, fields: Partial<RedeemRequest>, settings: Settings) => ({
    account: accountOf(who, settings.account),
    client: clientOf(who, settings.client),
    grant_id: who.grant_id,
    audience: who.audience,
    verification_code: typeof code === "string" ? secret(code) : code,
    actor: "caller",
    facts: { request_id: "r", ip: "192.0.2.1" },
    now,
    ...fields,
  });
  const redeem = (who: Login, code: Secret | string, fields: Partial<RedeemRequest> = {}, settings: Settings = {}) =>
    redeemCode(room, requestOf(who, code, fields, settings));
  const refusedWith = async (...args: Parameters<typeof redeem>) => (await refusalOf(redeem(...args))).code;
  const named = (who: Login) => ({ ident_type: "user_id", ident: who.user_id }) as const;
  const spent = (
    budget: "typable_guess" | "typable_pressure" | "spray_guess" | "sms_prefix_verified",
    subject: string,
  ) => peekBudget(storage.read, { account_id: login.account_id, budget, subject }, now).then(({ count }) => count);
  const setUser = (id: string, fields: object) =>
    storage.write((tx) => tx.db.updateTable("users").set(fields).where("id", "=", id).execute());
  const wrongOnes = async (who: Login, code: Secret, count: number, settings: Settings = {}) => {
    const codes = [];
    for (const guess of wrongGuesses(reveal(code), count))
      codes.push(await refusedWith(who, guess, named(who), settings));
    return codes;
  };
  const events = async (client_id: string) => {
    const rows = await storage.read.selectFrom("audit_events").selectAll().orderBy("id").execute();
    return rows
      .map(({ context, ...row }) => ({ ...row, context: JSON.parse(context) }))
      .filter(({ context }) => context.client_id === client_id);
  };

  it("says who it was, since when and by what, and nothing that is not known", async () => {
    const mail = await insertCode(storage, login);
    expect(await redeem(login, mail.code)).toEqual({
      user_id: login.user_id,
      email: `${login.user_id}@example.com`,
      email_verified: true,
      authenticated_at: now,
      amr: ["otp"],
      second_factor: false,
      authorization_id: mail.id,
    });
    const phone_number = "+4740000001";
    await setUser(login.user_id, { email: null, phone_number, name: "Ada", second_factor: 1 });
    const text = await insertCode(storage, login, { connections: "sms", phone_number });
    expect(await redeem(login, text.code)).toEqual({
      user_id: login.user_id,
      name: "Ada",
      authenticated_at: now,
      amr: ["otp", "sms"],
      second_factor: true,
      authorization_id: text.id,
    });
    await setUser(login.user_id, { email: "ada@example.com", email_verified_at: null });
    const either = await insertCode(storage, login, {
      connections: "email sms",
      email: "ada@example.com",
      phone_number,
    });
    expect(await redeem(login, either.code)).toMatchObject({
      ...{ email_verified: false, amr: ["otp", "sms"], code_sent_over: "email" },
    });
    const nowhere = { connections: "email sms", email: "ada@example.com" };
    const mailed = await redeem(login, (await insertCode(storage, login, nowhere)).code);
    expect([mailed.amr, mailed.code_sent_over], "there was no number").toEqual([["otp"], undefined]);
    const minted = await insertCode(storage, login, { connections: null });
    expect(await redeem(login, minted.code)).toMatchObject({ amr: ["otp"] });
  });

  it("counts a code as entered from its range of numbers only where it can have come by SMS alone", async () => {
    const entered = () => spent("sms_prefix_verified", "+47411");
    const phone_number = "+4741100001";
    for (const connections of ["email", "email sms", null]) {
      const { code } = await insertCode(storage, login, { connections, email: "ada@example.com", phone_number });
      await redeem(login, code);
    }
    expect(await entered()).toBe(0);
    const { code } = await insertCode(storage, login, { connections: "sms", phone_number });
    await redeem(login, code);
    expect(await refusedWith(login, code)).toBe("verification_code_used");
    expect(await entered()).toBe(1);
  });

  it("takes a code of any master key that is still there", async () => {
    const other = await insertLogin(storage);
    const newer = masterKeys([Buffer.alloc(32, 9), Buffer.alloc(32, 1)]);
    const rotated = openRoom(storage, newer);
    for (const format of ["typable", "numeric", "link"] as const) {
      const { code } = await insertCode(storage, other, { format });
      const found = await redeemCode(rotated, requestOf(other, code, named(other), {}));
      expect(found.user_id, format).toBe(other.user_id);
    }
    expect(test_keys.current).not.toBe(newer.current);
  });

  it("signs up whom the code reached, and by what it reached them alone", async () => {
    const client = { signup: true, user_type: "company" } as const;
    const both = { email: "Eve@example.com", phone_number: "+4741200001", user_id: null, signup: 1 };
    const rows = [
      ["email", { email: both.email, phone_number: null }],
      ["sms", { email: null, phone_number: both.phone_number }],
    ] as const;
    for (const [connections, reached] of rows) {
      const { id, code } = await insertCode(storage, login, { ...both, person: `x:${connections}`, connections });
      const { user_id } = await redeem(login, code, {}, { client, account: { locale: "nb" } });
      const find = storage.read.selectFrom("users").selectAll().where("id", "=", user_id);
      const user = await find.executeTakeFirstOrThrow();
      expect(user).toMatchObject({ ...reached, type: "company", locale: "nb", created_at: instant(now) });
      const code_row = await storage.read.selectFrom("verification_codes").selectAll().where("id", "=", id).execute();
      expect(code_row[0]?.user_id).toBe(user_id);
    }
    const closed = await insertCode(storage, login, { ...both, person: "x:closed" });
    expect(await refusedWith(login, closed.code)).toBe("invalid_verification_code");
    const refused = await insertCode(storage, login, { ...both, person: "x:refused", signup: 0 });
    expect(await refusedWith(login, refused.code, {}, { client })).toBe("invalid_verification_code");
  });

  it("refuses what is none, what is somebody else's, what was used and what is late, each by its name", async () => {
    const [who, other] = [await insertLogin(storage), await insertLogin(storage)];
    const { code } = await insertCode(storage, who);
    const numeric = await insertCode(storage, who, { format: "numeric" });
    const rows: [string, Promise<unknown>][] = [
      ["invalid_verification_code", refusedWith(who, "hello, world")],
      ["invalid_verification_code", refusedWith(who, "7KQM4-X2PVD")],
      ["ident_required", refusedWith(who, numeric.code)],
      ["invalid_verification_code", refusedWith(other, code)],
      ["invalid_verification_code", refusedWith(who, code, { audience: "https://other.example" })],
      ["invalid_verification_code", refusedWith(who, code, { connection: "sms" })],
      ["invalid_verification_code", refusedWith(who, code, named(other))],
      ["unauthorized_client", refusedWith(who, code, { grant_id: other.grant_id })],
      ["verification_code_expired", refusedWith(who, code, { now: now + 11 * MINUTE })],
      ["invalid_verification_code", refusedWith(who, code, { now: now + 25 * HOUR })],
    ];
    for (const [expected, actual] of rows) expect(await actual).toBe(expected);
    expect((await redeem(who, numeric.code, named(who))).user_id).toBe(who.user_id);
    expect(await refusedWith(who, numeric.code, named(who))).toBe("verification_code_used");
    expect(await refusedWith(who, code), "a sibling").toBe("verification_code_used");
    expect(await refusedWith(who, code, { now: now + 11 * MINUTE })).toBe("verification_code_used");
    const last = await insertCode(storage, who, { created_at: now });
    expect(await refusedWith(who, last.code, { now: now + 10 * MINUTE })).toBe("verification_code_expired");
    expect((await redeem(who, last.code, { now: now + 10 * MINUTE - 1 })).authorization_id).toBe(last.id);
  });

  it("answers a deleted user's code like one that never was, and refuses a deleted client before all else", async () => {
    const who = await insertLogin(storage);
    const { code } = await insertCode(storage, who);
    await setUser(who.user_id, { deleted_at: "2026-01-01" });
    expect(await refusedWith(who, code)).toBe("invalid_verification_code");
    await storage.write((tx) =>
      tx.db.updateTable("clients").set({ deleted_at: "2026-01-01" }).where("id", "=", who.client_id).execute(),
    );
    expect(await refusedWith(who, code)).toBe("unauthorized_client");
  });

  it("lists the login of an account user among what they did, and that of others among what their client did", async () => {
    for (const [user_type, actor] of [
      ["account_user", "user"],
      ["customer", "caller"],
    ] as const) {
      for (const format of ["typable", "numeric"] as const) {
        const who = await insertLogin(storage);
        await setUser(who.user_id, { type: user_type });
        const { id, code } = await insertCode(storage, who, { format });
        await redeem(who, code, named(who), { client: { user_type } });
        const seen = await listEvents(storage.read, who.account_id, actor === "user" ? who.user_id : actor, 1000);
        const [login] = seen.filter(({ entity }) => entity === id);
        expect(login, `${user_type}, ${format}`).toMatchObject({ action: "verification_code.redeemed" });
        expect(login?.context.bearer).toBe(actor === "user" ? "caller" : undefined);
      }
    }
  });

  it("writes down each redemption and each refusal, with where it came from and why", async () => {
    const who = await insertLogin(storage);
    const { id, code } = await insertCode(storage, who);
    await redeem(who, code);
    await refusedWith(who, code, { ...named(who), now: now + 1 });
    await refusedWith(who, "hello, world", { now: now + 2 });
    const context = { request_id: "r", ip: "192.0.2.1", client_id: who.client_id };
    const refused = { action: "verification_code.refused", outcome: "failure", entity: who.client_id };
    const expected = [
      { action: "verification_code.redeemed", outcome: "success", entity: id, context },
      {
        ...refused,
        context: { ...context, reason: "verification_code_used", format: "typable", person: who.user_id },
      },
      { ...refused, context: { ...context, reason: "invalid_verification_code", format: "malformed" } },
    ].map((event, index) => ({
      ...{ account_id: who.account_id, actor: "caller", created_at: instant(now + index), id: expect.any(String) },
      ...event,
    }));
    expect(await events(who.client_id)).toEqual(expected);
  });

  it("tells everybody who comes second that the code was used, also in the same instant, also with a sibling", async () => {
    const client = { signup: true };
    const people = [{}, { person: "x:somebody-new", user_id: null, email: "eve@example.com", signup: 1 }];
    for (const fields of people) {
      const [who, ...others] = [await insertLogin(storage), await insertLogin(storage), await insertLogin(storage)];
      const codes = [];
      for (let n = 0; n < 4; n++) codes.push(await insertCode(storage, who, fields));
      // Others go first, so that the rest travel together.
      const ahead = [];
      for (const other of others) ahead.push(redeem(other, (await insertCode(storage, other)).code));
      const all = codes.flatMap(({ code }) => [code, code, code]);
      const replies = await Promise.all(all.map((code) => refusedWith(who, code, {}, { client })));
      expect(replies.sort()).toEqual([...Array(11).fill("verification_code_used"), undefined]);
      await Promise.all(ahead);
    }
  });

  it("says how long numeric codes stay closed: as long as the code lives, or as the window, or an hour", async () => {
    const who = await insertLogin(storage);
    const { code } = await insertCode(storage, who, { format: "numeric", created_at: now });
    await wrongOnes(who, code, 5);
    const waitOf = async (at: number, settings: Settings = {}) => {
      const { code: reason, options } = await refusalOf(redeem(who, code, { ...named(who), now: at }, settings));
      return [reason, options?.retry_after];
    };
    expect(await waitOf(now + 1)).toEqual(["too_many_attempts", 600]);
    expect(await waitOf(now + 9 * MINUTE)).toEqual(["too_many_attempts", 60]);
    const window = async (fields: { count: number; window_ends_at: number; failures: number }) => {
      const set = { ...fields, window_ends_at: instant(fields.window_ends_at) };
      await storage.write((tx) => tx.db.updateTable("budgets").set(set).where("subject", "=", who.user_id).execute());
    };
    await window({ count: 10, window_ends_at: now + 90_500, failures: 10 });
    expect(await waitOf(now)).toEqual(["too_many_attempts", 91]);
    await window({ count: 0, window_ends_at: now - HOUR, failures: 49 });
    expect(await waitOf(now)).toEqual(["too_many_attempts", 600]);
    await window({ count: 0, window_ends_at: now - HOUR, failures: 50 });
    expect(await waitOf(now)).toEqual(["too_many_attempts", 3_600]);
    await window({ count: 10, window_ends_at: now + 2 * HOUR, failures: 50 });
    expect(await waitOf(now)).toEqual(["too_many_attempts", 7_200]);
  });

  it("counts a wrong code that came before one that was late, and is looked at after it", async () => {
    const who = await insertLogin(storage);
    const settings = { account: { numeric_guess_limit: 3 } };
    const { code } = await insertCode(storage, who, { format: "numeric" });
    const late = await insertCode(storage, who, { format: "numeric", created_at: now - HOUR });
    const at = (after: number) => ({ ...named(who), now: now + after });
    expect(await refusedWith(who, late.code, at(5), settings)).toBe("verification_code_expired");
    const replies = [];
    for (const [n, wrong] of wrongGuesses(reveal(code), 4).entries())
      replies.push(await refusedWith(who, wrong, at(n === 0 ? 0 : 10), settings));
    expect(replies).toEqual([...Array(3).fill("invalid_verification_code"), "too_many_attempts"]);
  });

  it("tells the person once, with the guess that closes their numeric codes", async () => {
    const who = await insertLogin(storage);
    const settings = { account: { numeric_guess_limit: 3 } };
    const notices = async () => {
      const rows = await storage.read.selectFrom("outbox").selectAll().where("kind", "=", "notice").execute();
      return rows.filter(({ payload }) => payload.includes(who.user_id)).length;
    };
    const { code } = await insertCode(storage, who, { format: "numeric" });
    expect(await wrongOnes(who, code, 2, settings)).toEqual(Array(2).fill("invalid_verification_code"));
    expect(await notices()).toBe(0);
    const [third = "", fourth = ""] = wrongGuesses(reveal(code), 4).slice(2);
    expect(await refusedWith(who, third, named(who), settings)).toBe("invalid_verification_code");
    expect(await notices()).toBe(1);
    const closed = await refusalOf(redeem(who, fourth, named(who), settings));
    expect([closed.code, closed.options?.retry_after]).toEqual(["too_many_attempts", 3_600]);
    expect(await notices()).toBe(1);
  });

  it("counts a wrong numeric code against the account and no right or late one, nor any other", async () => {
    const who = await insertLogin(storage);
    const counted = () => spent("spray_guess", "account");
    const before = await counted();
    const { code } = await insertCode(storage, who, { format: "numeric" });
    const late = await insertCode(storage, who, { format: "numeric", created_at: now - HOUR });
    await redeem(who, code, named(who));
    await refusedWith(who, code, named(who));
    await refusedWith(who, late.code, named(who));
    await refusedWith(who, "7KQM4-X2PVD", named(who));
    expect(await counted()).toBe(before);
    await wrongOnes(who, code, 1);
    expect(await counted()).toBe(before + 1);
  });

  it("counts what is wrong, and is not numeric, against the client, until ten symbols alone are too few", async () => {
    const who = await insertLogin(storage);
    const settings = { account: { typable_guess_limit: 3 } };
    const used = await insertCode(storage, who);
    await redeem(who, used.code);
    const short = await insertCode(storage, who);
    const guess = (text: string) => refusedWith(who, text, named(who), settings);
    for (const text of ["000000", reveal(used.code), "7KQM4-X2PVD", "hello, world", "A".repeat(43)]) await guess(text);
    expect([await spent("typable_guess", who.client_id), await spent("typable_pressure", who.client_id)]).toEqual([
      3, 0,
    ]);
    await guess("7KQM4-X2PVD");
    expect([await spent("typable_guess", who.client_id), await spent("typable_pressure", who.client_id)]).toEqual([
      4, 1,
    ]);
    const alone = await refusalOf(redeem(who, short.code, {}, settings));
    expect([alone.code, alone.message]).toEqual(["ident_required", expect.stringContaining("ten symbols")]);
    expect((await redeem(who, short.code, named(who), settings)).user_id).toBe(who.user_id);
  });

  it("leaves an event of so many wrong codes that one source, or site, enters at hosted logins, and none of more", async () => {
    const who = await insertLogin(storage);
    const take = (budget: "page_source" | "page_site", subject: string | undefined, cost: number) =>
      takeBudget(storage, { account_id: who.account_id, budget, subject: subject ?? "", cost }, now);
    const [ip, near] = ["2001:db8:7:1::1", "2001:db8:7:2::1"];
    let logins = 0;
    const enter = (from: string) => {
      logins += 1;
      const facts = { request_id: "r", ip: from };
      return refusedWith(who, "7KQM4-X2PVD", { audience: hostedLogin(`login-${logins}`), facts });
    };
    await take("page_source", sourceSubject(test_keys, who.account_id, ip), 49);
    await take("page_site", siteSubject(test_keys, who.account_id, ip), 998);
    const beside = "2001:db8:7:3::1";
    for (const from of [ip, ip, near, near, beside]) expect(await enter(from)).toBe("invalid_verification_code");
    expect(await countSubjects(storage, who, "page_source"), "none of whom the site refuses").toBe(2);
    expect((await events(who.client_id)).map(({ context }) => context.ip).toSorted()).toEqual([ip, near]);
  });

  it("takes twenty wrong codes at one hosted login, counts them there alone, and says how long it takes no more", async () => {
    const who = await insertLogin(storage);
    const enter = async (login: string, after = 0) => {
      const fields = { audience: hostedLogin(login), facts: { request_id: "r", ip: "192.0.2.9" }, now: now + after };
      const { code, options } = await refusalOf(redeem(who, "7KQM4-X2PVD", fields));
      return [code, options?.retry_after];
    };
    for (let n = 0; n < 20; n++) expect(await enter("a")).toEqual(["invalid_verification_code", undefined]);
    expect([await enter("a", MINUTE), await enter("b")]).toEqual([
      ["too_many_attempts", 3_540],
      ["invalid_verification_code", undefined],
    ]);
    expect([await spent("typable_guess", who.client_id), (await events(who.client_id)).length]).toEqual([0, 21]);
  });

  it("revokes what a code began when it comes again: in other hands at once, else after a double click's time", async () => {
    const [who, thief] = [await insertLogin(storage), await insertLogin(storage)];
    const { revoked } = room;
    const again = async (by: Login, code: Secret, after: number) => {
      const before = revoked.length;
      expect(await refusedWith(by, code, { now: now + after })).toMatch(/_verification_code$|_used$/);
      return revoked.slice(before);
    };
    const first = await insertCode(storage, who, { created_at: now });
    const sibling = await insertCode(storage, who);
    const fresh = await insertCode(storage, thief, { created_at: now });
    await redeem(who, first.code);
    const ended = [`${who.account_id} sid:${first.id}`];
    expect(await again(who, first.code, 10_000)).toEqual([]);
    expect(await again(who, first.code, 10_001)).toEqual(ended);
    expect(await again(thief, first.code, 0)).toEqual(ended);
    expect(await again(who, sibling.code, MINUTE), "it began nothing").toEqual([]);
    expect(await again(who, first.code, 10 * MINUTE - 1)).toEqual(ended);
    expect(await again(thief, first.code, 10 * MINUTE), "it can begin nothing more").toEqual([]);
    expect(await again(who, fresh.code, 0), "another client's, unused").toEqual([]);
  });
});
