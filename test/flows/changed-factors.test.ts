/** Factors of account users: what ends where one is switched on, and who helps whoever has lost one, or forgot the password. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addAccountUser, logInAccountUser, logInByMail, oneTimePassword, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a factor of an account user", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  /** Below `/v1/account/user`. */
  const mine = (method: string, path: string, bearer: string, json?: object) =>
    call(`${latchkey.url}/v1/account/user${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  /** Two factors of a mailed code and an SMS. */
  const logInByBoth = async (
    { client, email }: Awaited<ReturnType<typeof addAccountUser>>,
    number: string,
    own = tenant,
  ) => finishBySms(own, (await logInByMail(own, client, email)).body.mfa_token, number);
  const finishBySms = async (own: Tenant, mfa_token: string, number: string, bearer = own.token) => {
    const json = { challenge_type: "oob", mfa_token };
    const asked = await call(`${own.base}/auth/mfa/challenge`, { method: "POST", token: own.token, json });
    const binding_code = (await inbox(own, number))[0]?.verification_code;
    const proof = { grant_type: "mfa_oob", mfa_token, oob_code: asked.body.oob_code, binding_code };
    return (await token(own, proof, bearer)).body.access_token as string;
  };
  const addTotp = async (bearer: string) => {
    const { secret } = (await mine("POST", "/mfa/totp", bearer)).body;
    return mine("PUT", "/mfa/totp", bearer, { otp: oneTimePassword(secret) });
  };

  it.each(["totp", "sms"])(
    "ends, once it is switched on, the logins that have not shown it, save its own (%s)",
    async (kind) => {
      const me = await addAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
      const json = { grant_types: ["authorization_code", "refresh_token"], refresh_without_offline_access: true };
      await call(`${tenant.base}/auth/clients/${me.client.id}`, { method: "PATCH", token: tenant.token, json });
      const standard = standardClient(latchkey, tenant, me.client);
      const thief = openSurfer(latchkey);
      const shown = await thief.logIn(standard.address(me.client, { resource: tenant.issuer }), tenant, me.email);
      const { access_token, refresh_token } = (await standard.redeem(answered(shown).get("code") ?? "")).body;
      const own = (await logInByMail(tenant, me.client, me.email)).body.access_token;
      const works = async (bearer: string) => (await call(`${tenant.base}/auth/clients`, { token: bearer })).status;
      expect([await works(access_token), await works(own)]).toEqual([200, 200]);
      const on =
        kind === "totp" ? addTotp(own) : mine("PUT", "/mfa/sms", own, { enabled: true, phone_number: "40112255" });
      expect((await on).status).toBe(201);
      expect([await works(access_token), await works(own)]).toEqual([401, 200]);
      expect(code(await standard.token({ grant_type: "refresh_token", refresh_token }))[0]).toBe(400);
      const silent = await thief.visit(standard.address(me.client, { prompt: "none" }));
      expect(answered(silent).get("error")).toBe("login_required");
    },
  );

  it("that is lost is switched off by who holds all that they hold, which ends their logins and is written down", async () => {
    const me = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
    expect((await addTotp(me.token)).status).toBe(201);
    expect(code(await logInByMail(tenant, me.client, me.email))).toEqual([403, "mfa_required"]);
    const less = await addClient(latchkey, tenant.account_id, { grant_types: ["client_credentials"] });
    await addGrant(latchkey, tenant.account_id, less, tenant.issuer, ["write:accounts"]);
    const weak = await tokenOf(latchkey, tenant.account_id, less);
    const path = `${tenant.base}/management/users/${me.id}`;
    const off = (bearer: string, kind = "totp") => call(`${path}/mfa/${kind}`, { method: "DELETE", token: bearer });
    expect(code(await off(weak))).toEqual([403, "insufficient_scope"]);
    expect(code(await off(me.token)), "their own, which takes a fresh login").toEqual([403, "insufficient_scope"]);
    expect((await off(tenant.token, "sms")).status, "which is not on").toBe(204);
    expect((await mine("GET", "", me.token)).status).toBe(200);
    const begun = await logInAccountUser(latchkey, tenant);
    await mine("POST", "/mfa/totp", begun.token);
    const theirs = `${tenant.base}/management/users/${begun.id}/mfa/totp`;
    expect((await call(theirs, { method: "DELETE", token: tenant.token })).status, "nor this one yet").toBe(204);
    expect((await mine("GET", "", begun.token)).status).toBe(200);
    expect((await off(tenant.token)).status).toBe(204);
    expect(code(await mine("GET", "", me.token))).toEqual([401, "invalid_token"]);
    const again = await logInByMail(tenant, me.client, me.email);
    expect(claimsOf(again.body.access_token).amr).toEqual(["otp"]);
    const shown = await call(path, { method: "PUT", token: tenant.token, json: {} });
    expect(shown.body.configuration).toEqual({ mfa: {} });
    const events = latchkey.server.core.storage.read.selectFrom("audit_events").select(["actor", "context"]);
    const told = await events
      .where("action", "=", "second_factor.changed")
      .where("entity", "=", me.id)
      .orderBy("created_at")
      .execute();
    const facts = told.map(({ actor, context }) => [actor, JSON.parse(context).factor, JSON.parse(context).enabled]);
    expect(facts).toEqual([
      [me.id, "totp", true],
      [tenant.client.id, "totp", false],
    ]);
  });

  it("that is lost takes along what wrong ones closed: the next one is compared at once", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 2 } });
    const me = await logInAccountUser(latchkey, own);
    expect((await addTotp(me.token)).status).toBe(201);
    const show = async (otp: string) => {
      const { mfa_token } = (await logInByMail(own, me.client, me.email)).body;
      return (await token(own, { grant_type: "mfa_oob", mfa_token, otp })).status;
    };
    for (const status of [400, 400, 429]) expect(await show("000000")).toBe(status);
    const lost = `${own.base}/management/users/${me.id}/mfa/totp`;
    expect((await call(lost, { method: "DELETE", token: own.token })).status).toBe(204);
    const bearer = (await logInByMail(own, me.client, me.email)).body.access_token;
    const { secret } = (await mine("POST", "/mfa/totp", bearer)).body;
    expect((await mine("PUT", "/mfa/totp", bearer, { otp: oneTimePassword(secret) })).status).toBe(201);
    expect(await show(oneTimePassword(secret, 1))).toBe(200);
  });

  it("is no matter of a PUT of the user, which takes whatever it shows", async () => {
    const me = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
    expect((await addTotp(me.token)).status).toBe(201);
    const json = { name: "Ada", configuration: { mfa: { totp: { enabled: false } } } };
    const put = await call(`${tenant.base}/management/users/${me.id}`, { method: "PUT", token: tenant.token, json });
    expect([put.status, put.body.configuration.mfa.totp.enabled]).toEqual([200, true]);
  });

  it("shown beside another than the password stands in for the one that was forgotten, and no single one does", async () => {
    const me = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
    const set = (bearer: string, json: object) => mine("POST", "/password", bearer, json);
    expect((await set(me.token, { proposed_password: "first password" })).status).toBe(201);
    const forgotten = { proposed_password: "second password" };
    expect(code(await set(me.token, forgotten)), "one factor").toEqual([400, "invalid_request"]);
    const number = "+4740112266";
    const on = await mine("PUT", "/mfa/sms", me.token, { enabled: true, phone_number: number });
    expect(on.status).toBe(201);
    const both = await logInByBoth(me, number);
    expect(claimsOf(both).amr).toEqual(["otp", "sms", "mfa"]);
    expect(code(await set(both, { ...forgotten, previous_password: "not this one" }))).toEqual([400, "invalid_grant"]);
    expect((await set(both, forgotten)).status).toBe(201);
    const staff = await addClient(latchkey, tenant.account_id, { user_type: "account_user" });
    await addGrant(latchkey, tenant.account_id, staff, tenant.issuer, ["admin:accounts"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, staff);
    const logIn = (password: string) =>
      token(tenant, { grant_type: "password", username: me.email, password, audience: tenant.issuer }, bearer);
    expect(code(await logIn("first password"))).toEqual([400, "invalid_grant"]);
    const first = await logIn("second password");
    expect(code(first)).toEqual([403, "mfa_required"]);
  });

  it("shown beside the password stands in for none that was forgotten; two others open what wrong ones closed", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 2 } });
    const me = await logInAccountUser(latchkey, own, { scope: ["admin:accounts"] });
    const set = async (bearer: string, proposed_password: string, previous_password?: string) => {
      const json = { proposed_password, ...(previous_password ? { previous_password } : {}) };
      return code(await mine("POST", "/password", bearer, json));
    };
    const done = [201, undefined];
    expect(await set(me.token, "first password")).toEqual(done);
    const number = "+4740112277";
    expect((await mine("PUT", "/mfa/sms", me.token, { enabled: true, phone_number: number })).status).toBe(201);
    const client = await addClient(latchkey, own.account_id, { first_party: true, user_type: "account_user" });
    await addGrant(latchkey, own.account_id, client, own.issuer, ["openid", "admin:accounts"]);
    const bearer = await tokenOf(latchkey, own.account_id, client);
    const login = { grant_type: "password", username: me.email, password: "first password", audience: own.issuer };
    const half = await token(own, login, bearer);
    expect(code(half)).toEqual([403, "mfa_required"]);
    const known = await finishBySms(own, half.body.mfa_token, number, bearer);
    expect(claimsOf(known).amr).toEqual(["pwd", "otp", "sms", "mfa"]);
    expect(await set(known, "second password"), "who knows it shows it").toEqual([400, "invalid_request"]);
    for (const refused of [
      [400, "invalid_grant"],
      [400, "invalid_grant"],
      [429, "too_many_attempts"],
    ])
      expect(await set(known, "second password", "wrong password")).toEqual(refused);
    const both = await logInByBoth(me, number, own);
    expect(await set(both, "second password")).toEqual(done);
    expect(await set(both, "third password", "wrong password"), "what was guessed at is gone").toEqual([
      ...[400, "invalid_grant"],
    ]);
    expect(await set(both, "third password", "second password")).toEqual(done);
  });
});
