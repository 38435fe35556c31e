/** A password that was set by mail: whoever reads that mail has it, so a code by mail beside it proves nothing more. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { endLoginsOf } from "../../src/oauth/refresh/end-logins.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  authorize,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, setFactors, token } from "../support/people.ts";
import { code } from "../support/replies.ts";

const CHOSEN = "a new battery";

describeOnBothEngines("a password set by mail", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let strict: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    // It prefers the very channel that a password is reset over.
    strict = await createTenant(latchkey, { settings: { mfa_login: true, mfa_login_channel: "email" } });
  });
  afterAll(() => latchkey.close());

  const send = (own: Tenant, path: string, json: object) =>
    call(`${own.base}${path}`, { method: "POST", token: own.token, json });
  const newest = async (own: Tenant, to: string) => (await inbox(own, to))[0]?.verification_code ?? "";
  const reset = async (own: Tenant, email: string) => {
    const about = { email, audience: own.audience, type: "customer" };
    expect((await send(own, "/customers/change_password", about)).status).toBe(204);
    const verification_code = await newest(own, email);
    return send(own, "/customers/change_password", { ...about, verification_code, password: CHOSEN });
  };
  const logIn = (own: Tenant, email: string, password = CHOSEN) =>
    send(own, "/customers/login", { audience: own.audience, type: "customer", email, password });
  const challenge = (own: Tenant, mfa_token: string, oob_channel?: string) =>
    send(own, "/auth/mfa/challenge", { challenge_type: "oob", mfa_token, ...(oob_channel ? { oob_channel } : {}) });
  const finish = async (own: Tenant, mfa_token: string, oob_code: string, to: string) =>
    token(own, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code: await newest(own, to) });
  /** Somebody who has an address, and no number. */
  const mailOnly = async (own: Tenant, email: string) => {
    const { body, text } = await send(own, "/customers/users", { email, password: PASSWORD });
    expect(body?.id, text).toBeTruthy();
    return body.id as string;
  };

  it("takes the place of the PIN as well, which begins no login any more", async () => {
    const [email, pin] = ["with-a-pin@example.com", "295837"];
    const made = await send(strict, "/customers/users", {
      email,
      phone_number: "+4741600001",
      password: PASSWORD,
      pin,
    });
    expect(made.status, made.text).toBe(200);
    const about = { audience: strict.audience, type: "customer", ident_type: "email", ident: email };
    const begin = async (secret: string) => (await send(strict, "/customers/mfa_login", { ...about, secret })).status;
    expect([await begin(pin), await begin(PASSWORD)]).toEqual([200, 200]);
    expect((await reset(strict, email)).status).toBe(204);
    expect([await begin(pin), await begin(PASSWORD), await begin(CHOSEN)]).toEqual([400, 400, 200]);
  });

  it("is offered to nobody who has no account, also where a login would sign them up", async () => {
    const own = await createTenant(latchkey, { client: { signup: true } });
    const email = "stranger@example.com";
    const about = { email, audience: own.audience, type: "customer" };
    expect((await send(own, "/customers/change_password", about)).status).toBe(204);
    expect(await inbox(own, email)).toEqual([]);
    const verification_code = await receiveCode(own, { email });
    const chosen = { ...about, verification_code, password: CHOSEN };
    expect(code(await send(own, "/customers/change_password", chosen))).toEqual([400, "invalid_verification_code"]);
    expect(code(await logIn(own, email))).toEqual([400, "invalid_grant"]);
    expect((await authorize(own, { verification_code })).status, "a login signs them up").toBe(302);
    expect((await reset(own, email)).status).toBe(204);
    expect((await logIn(own, email)).status).toBe(200);
  });

  it("is the way to one for whom a client entered that verifies nobody", async () => {
    const scope = ["write:accounts:/auth/users", "create:customers:/users"];
    const own = await createTenant(latchkey, { scope: [...scope, "read:accounts:/sandbox"] });
    for (const fields of [{ password: PASSWORD }, { pin: "123456" }]) {
      for (const named of [{ email: "in@example.com" }, { phone_number: "40000077", customer_id: "c-77" }]) {
        const refused = await send(own, "/customers/users", { ...named, ...fields });
        expect(code(refused), JSON.stringify(named)).toEqual([403, "insufficient_scope"]);
        expect(refused.body.error.message).toContain("not verified");
      }
    }
    for (const fields of [{ email: "in@example.com" }, { customer_id: "c-78", password: PASSWORD }])
      expect((await send(own, "/customers/users", fields)).status, JSON.stringify(fields)).toBe(200);
  });

  it("opens no second factor in that mailbox, but over every other channel of the person", async () => {
    const both = await addPerson(latchkey, tenant.account_id, { factors: ["sms", "email"] });
    const mail = await addPerson(latchkey, tenant.account_id, { factors: ["email"] });
    const asked = await addPerson(latchkey, strict.account_id);
    for (const [own, person] of [
      [tenant, both],
      [tenant, mail],
      [strict, asked],
    ] as const) {
      expect((await reset(own, person.email)).status).toBe(204);
      const first = await logIn(own, person.email);
      expect(code(first)).toEqual([403, "mfa_required"]);
      const { mfa_token } = first.body;
      expect(code(await challenge(own, mfa_token, "email"))).toEqual([404, "not_found"]);
      const { oob_code } = (await challenge(own, mfa_token)).body;
      const done = await finish(own, mfa_token, oob_code, person.phone_number);
      expect(done.status, done.text).toBe(200);
      expect(claimsOf(done.body.access_token).amr).toEqual(["pwd", "otp", "sms", "mfa"]);
    }
    const about = { audience: strict.audience, type: "customer", ident_type: "email", ident: asked.email };
    const told = await send(strict, "/customers/mfa_login", { ...about, secret: CHOSEN });
    expect(told.body.oob_channel).toBe("sms");
  });

  it("shuts out nobody who has that mailbox alone and no factor of their own, and is called one factor there", async () => {
    const email = "mail-alone@example.com";
    await mailOnly(strict, email);
    const both = async (password: string) => {
      const { mfa_token } = (await logIn(strict, email, password)).body;
      const { oob_code } = (await challenge(strict, mfa_token)).body;
      const done = await finish(strict, mfa_token, oob_code, email);
      expect(done.status, done.text).toBe(200);
      return claimsOf(done.body.access_token);
    };
    expect(await both(PASSWORD)).toMatchObject({ amr: ["pwd", "otp", "mfa"], acr: "urn:latchkey:acr:2fa" });
    expect((await reset(strict, email)).status).toBe(204);
    expect(await both(CHOSEN)).toMatchObject({ amr: ["pwd", "otp"], acr: "urn:latchkey:acr:1fa" });
    const by_mail = await authorize(strict, { verification_code: await receiveCode(strict, { email }) });
    expect(by_mail.status, by_mail.text).toBe(302);
  });

  it("is not set where that mailbox is the only second factor: the one before stays, and still logs in", async () => {
    const email = "factor-alone@example.com";
    await setFactors(latchkey, tenant.account_id, await mailOnly(tenant, email), { email });
    expect(code(await reset(tenant, email))).toEqual([403, "access_denied"]);
    expect(code(await logIn(tenant, email))).toEqual([400, "invalid_grant"]);
    const { mfa_token } = (await logIn(tenant, email, PASSWORD)).body;
    const { oob_code } = (await challenge(tenant, mfa_token)).body;
    expect((await finish(tenant, mfa_token, oob_code, email)).status).toBe(200);
  });

  it("takes no code that was asked for to log in, over whatever channel, and its own code logs nobody in", async () => {
    const own = await createTenant(latchkey);
    const person = await addPerson(latchkey, own.account_id, { factors: ["sms"] });
    const about = { email: person.email, audience: own.audience, type: "customer" };
    const { phone_number } = person;
    const codes = {
      mailed: await receiveCode(own, { email: person.email }),
      "sent by SMS": await receiveCode(own, { connection: "sms", phone_number }),
      minted: await mintCode(own, { user_id: person.id }),
    };
    for (const [how, verification_code] of Object.entries(codes)) {
      const refused = await send(own, "/customers/change_password", { ...about, verification_code, password: CHOSEN });
      expect(code(refused), how).toEqual([400, "invalid_verification_code"]);
      expect((await logIn(own, person.email)).body.error.code, how).toBe("invalid_grant");
    }
    expect((await authorize(own, { verification_code: codes.mailed })).status, "good for what it was for").toBe(403);
    expect((await send(own, "/customers/change_password", about)).status).toBe(204);
    const verification_code = await newest(own, person.email);
    const named = { ident_type: "email", ident: person.email, audience: own.audience };
    const redeemed = await token(own, { grant_type: "authorization_code", ...named, verification_code });
    expect(code(redeemed)).toEqual([400, "invalid_verification_code"]);
    expect(code(await authorize(own, { verification_code }))).toEqual([400, "invalid_verification_code"]);
    const set = await send(own, "/customers/change_password", { ...about, verification_code, password: CHOSEN });
    expect(set.status, "it was not spent").toBe(204);
    expect(code(await logIn(own, person.email))).toEqual([403, "mfa_required"]);
  });

  it("is hashed for nobody whose source shows wrong codes without end, and right ones count nothing", async () => {
    const own = await createTenant(latchkey);
    const { storage } = latchkey.server.core;
    const { email } = own.user;
    const about = { email, audience: own.audience, type: "customer" };
    const show = (address: string, verification_code: string, named = email) =>
      call(`${own.base}/customers/change_password`, {
        ...{ method: "POST", token: own.token, headers: { "end-user-ip": address } },
        json: { ...about, email: named, verification_code, password: CHOSEN },
      });
    const counted = () => {
      const budgets = storage.read.selectFrom("budgets").where("account_id", "=", own.account_id).select("count");
      return budgets.where("budget", "=", "factor_source").where("count", ">", 0).execute();
    };
    const [theirs, wrong] = ["203.0.113.70", "AAAAA-AAAAB"];
    expect((await send(own, "/customers/change_password", about)).status).toBe(204);
    expect((await show(theirs, await newest(own, email))).status).toBe(204);
    expect(await counted()).toEqual([]);
    expect(code(await show(theirs, wrong))).toEqual([400, "invalid_verification_code"]);
    expect(await counted()).toHaveLength(1);
    await storage.write(({ db }) =>
      db
        .updateTable("budgets")
        .set({ count: 20, window_ends_at: new Date(storage.now() + 60_000).toISOString() })
        .where("account_id", "=", own.account_id)
        .where("budget", "=", "factor_source")
        .execute(),
    );
    expect(code(await show(theirs, wrong, "made-up@example.com"))).toEqual([429, "too_many_attempts"]);
    expect(code(await show("203.0.113.71", wrong))).toEqual([400, "invalid_verification_code"]);
  });

  it("is asked for in a mail without a link, which would lead to a page that logs in", async () => {
    const own = await createTenant(latchkey, { client: { login_uri: new URL("/login", CALLBACK).href } });
    const { email } = own.user;
    await receiveCode(own);
    expect((await inbox(own, email))[0]?.text).toContain("#verification_code=");
    expect(
      (await send(own, "/customers/change_password", { email, audience: own.audience, type: "customer" })).status,
    ).toBe(204);
    const [mail] = await inbox(own, email);
    expect(mail?.subject).toContain("new password");
    expect(mail?.text).not.toContain("#verification_code=");
  });

  it("goes with that mailbox when its person leaves it, and no other does, nor with a number", async () => {
    const [theirs, own] = [await addPerson(latchkey, tenant.account_id), await addPerson(latchkey, tenant.account_id)];
    const move = async (id: string, field: string, value: string) => {
      const at = (operation: string) => `/customers/users/${id}/communication/${operation}-verification-code/${field}`;
      await send(tenant, at("send"), { value });
      return (await send(tenant, at("confirm"), { code: await newest(tenant, value) })).status;
    };
    const byNumber = (ident: string, password: string) =>
      send(tenant, "/customers/login", {
        ...{ audience: tenant.audience, type: "customer", ident_type: "phone_number", ident, password },
      });
    expect((await reset(tenant, theirs.email)).status).toBe(204);
    expect(await move(theirs.id, "phone_number", "+4741600055")).toBe(204);
    expect((await byNumber("+4741600055", CHOSEN)).status).toBe(200);
    const to = `left-${theirs.email}`;
    expect(await move(theirs.id, "email", to)).toBe(204);
    for (const reply of [await byNumber("+4741600055", CHOSEN), await logIn(tenant, to)])
      expect(code(reply)).toEqual([400, "invalid_grant"]);
    expect((await reset(tenant, to)).status, "set out of the next one").toBe(204);
    expect((await logIn(tenant, to)).status).toBe(200);
    expect(await move(own.id, "email", `left-${own.email}`)).toBe(204);
    expect((await logIn(tenant, `left-${own.email}`, PASSWORD)).status, "not set by mail").toBe(200);
  });

  it("is not set by a code of a mailbox that was left since it was spent", async () => {
    const { id, email } = await addPerson(latchkey, tenant.account_id);
    const { directory, storage } = latchkey.server.core;
    const hot = storage.hot.bind(storage);
    const spy = vi.spyOn(storage, "hot").mockImplementation(async (statement, input) => {
      const answer = await hot(statement, input);
      if (/^redeem_(?:\w+_)?code$/.test(statement.name)) {
        spy.mockRestore();
        // As a change of it does.
        await storage.write((tx) => endLoginsOf(tx, directory, { account_id: tenant.account_id, user_id: id }));
      }
      return answer;
    });
    expect(code(await reset(tenant, email))).toEqual([400, "invalid_verification_code"]);
    expect(code(await logIn(tenant, email))).toEqual([400, "invalid_grant"]);
    expect((await logIn(tenant, email, PASSWORD)).status, "the one before stands").toBe(200);
  });

  it("gives way to one that came otherwise, beside which mail is a second factor again", async () => {
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms", "email"] });
    expect((await reset(tenant, person.email)).status).toBe(204);
    const links = [{ rel: "customers_user", href: `https://shop.example/users/${person.id}` }];
    const named = await send(tenant, "/auth/users", { username: "reset-once", password: PASSWORD, links });
    expect(named.status, named.text).toBe(200);
    const { mfa_token } = (await logIn(tenant, person.email, PASSWORD)).body;
    const { oob_code } = (await challenge(tenant, mfa_token, "email")).body;
    const done = await finish(tenant, mfa_token, oob_code, person.email);
    expect(claimsOf(done.body.access_token).amr).toEqual(["pwd", "otp", "mfa"]);
  });
});
