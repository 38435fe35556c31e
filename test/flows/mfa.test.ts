/** Second factors: what each part alone is worth, which is nothing, and what all of them together give. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { finishFactor } from "../../src/authentication/mfa/finish.ts";
import { openLogin } from "../../src/authentication/mfa/open-login.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { sourceSubject } from "../../src/limits/source.ts";
import { secret } from "../../src/secrets/secret.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import {
  addPerson,
  logInAccountUser,
  logInByMail,
  oneTimePassword,
  PASSWORD,
  setFactors,
  token,
} from "../support/people.ts";
import { code } from "../support/replies.ts";
import { wrongGuesses } from "../support/verification.ts";

describeOnBothEngines("a second factor", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const person = (...factors: ("sms" | "email")[]) => addPerson(latchkey, tenant.account_id, { factors });
  const logIn = (username: string, password = PASSWORD) =>
    token(tenant, { grant_type: "password", username, password, audience: tenant.audience });
  const challenge = (mfa_token: string, oob_channel?: string) =>
    call(`${tenant.base}/auth/mfa/challenge`, {
      method: "POST",
      token: tenant.token,
      json: { challenge_type: "oob", mfa_token, ...(oob_channel ? { oob_channel } : {}) },
    });
  const finish = (fields: object, bearer?: string) => token(tenant, { grant_type: "mfa_oob", ...fields }, bearer);
  const received = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";
  const wrong = (right: string) => (right === "000000" ? "000001" : "000000");

  it("turns a right password into mfa_required, and a binding code into tokens", async () => {
    const user = await person("sms", "email");
    const first = await logIn(user.email);
    expect(code(first)).toEqual([403, "mfa_required"]);
    const { mfa_token } = first.body;
    const asked = await challenge(mfa_token);
    expect(asked.body).toMatchObject({ challenge_type: "oob", binding_method: "prompt" });
    const binding_code = await received(user.phone_number);
    expect(binding_code).toMatch(/^\d{6}$/);
    const done = await finish({ mfa_token, oob_code: asked.body.oob_code, binding_code });
    expect(done.status, done.text).toBe(200);
    expect(claimsOf(done.body.access_token)).toMatchObject({
      sub: user.id,
      amr: ["pwd", "otp", "sms", "mfa"],
      acr: "urn:latchkey:acr:2fa",
    });
    expect(done.body.refresh_token).toBeTruthy();
    expect(code(await finish({ mfa_token, oob_code: asked.body.oob_code, binding_code }))).toEqual([
      400,
      "invalid_grant",
    ]);
    expect((await finish({ grant_type: "mfa-oob", mfa_token })).status).toBe(400);
  });

  it("that is right and comes several times for one login is no guess, and none of its source", async () => {
    const user = await person("sms");
    const { directory, storage } = latchkey.server.core;
    const account = await findAccount(directory, tenant.account_id);
    const { mfa_token } = (await logIn(user.email)).body;
    const oob_code = secret((await challenge(mfa_token)).body.oob_code);
    const presented = { oob_code, binding_code: secret(await received(user.phone_number)) };
    const now = storage.now();
    const pending = await openLogin(directory, tenant.account_id, secret(mfa_token), now);
    const from = { source: "192.0.2.77", actor: "test", facts: { request_id: "test", ip: "192.0.2.77" } };
    const finishing = () => finishFactor(directory, { account, pending, presented, ...from, now });
    const all = await Promise.allSettled(Array.from({ length: 5 }, finishing));
    expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    await expect(finishing()).rejects.toMatchObject({ code: "invalid_grant" });
    const subjects = [user.id, sourceSubject(directory.master_keys, tenant.account_id, from.source)];
    const guesses = storage.read.selectFrom("budgets").select("count").where("subject", "in", subjects);
    const counts = await guesses.where("budget", "in", ["factor_guess", "factor_source"]).execute();
    expect(counts.map(({ count }) => Number(count)).toSorted()).toEqual([0, 0]);
  });

  it("makes a stolen password, mfa_token, oob_code or binding code worth nothing alone", async () => {
    const user = await person("sms");
    const other = await person("sms");
    const mine = (await logIn(user.email)).body.mfa_token;
    const theirs = (await logIn(other.email)).body.mfa_token;
    const asked = (await challenge(mine)).body.oob_code;
    const binding_code = await received(user.phone_number);
    expect(code(await finish({ mfa_token: mine }))).toEqual([400, "invalid_request"]);
    expect(code(await finish({ oob_code: asked, binding_code }))).toEqual([400, "invalid_request"]);
    for (const fields of [
      { mfa_token: theirs, oob_code: asked, binding_code },
      { mfa_token: mine, oob_code: (await challenge(theirs)).body.oob_code, binding_code },
      { mfa_token: mine, oob_code: asked, binding_code: wrong(binding_code) },
      { mfa_token: mine, oob_code: mine, binding_code },
      { mfa_token: asked, oob_code: asked, binding_code },
    ])
      expect(code(await finish(fields))).toEqual([400, "invalid_grant"]);
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["write:accounts:/auth/users/no-mfa"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    expect(code(await finish({ mfa_token: mine, oob_code: asked, binding_code }, bearer))).toEqual([
      403,
      "insufficient_scope",
    ]);
    expect((await finish({ mfa_token: mine, oob_code: asked, binding_code })).status).toBe(200);
  });

  it("finishes once, of any number of parallel attempts", async () => {
    const user = await person("email");
    const { mfa_token } = (await logIn(user.email)).body;
    const { oob_code } = (await challenge(mfa_token, "email")).body;
    const binding_code = await received(user.email);
    const replies = await Promise.all(Array.from({ length: 8 }, () => finish({ mfa_token, oob_code, binding_code })));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it("counts wrong binding codes and wrong passwords of a person together, and no right one is compared after them", async () => {
    const user = await person("sms");
    const { mfa_token } = (await logIn(user.email)).body;
    const { oob_code } = (await challenge(mfa_token)).body;
    const binding_code = await received(user.phone_number);
    for (let n = 0; n < 5; n++) expect((await logIn(user.email, "wrong password")).status).toBe(400);
    for (let n = 0; n < 5; n++)
      expect((await finish({ mfa_token, oob_code, binding_code: wrong(binding_code) })).status).toBe(400);
    const right = await finish({ mfa_token, oob_code, binding_code });
    expect(code(right)).toEqual([429, "too_many_attempts"]);
    expect(Number(right.headers.get("retry-after"))).toBeGreaterThan(3_000);
    expect(code(await logIn(user.email))).toEqual([429, "too_many_attempts"]);
    const minted = await mintCode(tenant, { user_id: user.id, audience: tenant.audience });
    const by_code = await authorize(tenant, { verification_code: minted });
    expect(code(by_code)).toEqual([403, "mfa_required"]);
    const asked = (await challenge(by_code.body.mfa_token, "sms")).body;
    const about = { mfa_token: by_code.body.mfa_token, oob_code: asked.oob_code };
    const done = await authorize(tenant, { ...about, binding_code: await received(user.phone_number) });
    expect(done.status, "what strangers close is the password").toBe(302);
  });

  it("lets parallel guesses have no more than the budget", async () => {
    const user = await person();
    /** Whose hash was not made in time on a busy machine is told so, loses no guess, and asks again. */
    const guess = async (password: string) => {
      let reply = await logIn(user.email, password);
      while (reply.status === 503) reply = await logIn(user.email, password);
      return reply;
    };
    const replies = await Promise.all(Array.from({ length: 30 }, (_, n) => guess(`wrong password ${n}`)));
    expect(replies.filter(({ status }) => status === 400)).toHaveLength(10);
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(20);
  });

  it("lets parallel guesses at a binding code have no more than the budget", async () => {
    const user = await person("sms");
    const { mfa_token } = (await logIn(user.email)).body;
    const { oob_code } = (await challenge(mfa_token)).body;
    const right = await received(user.phone_number);
    const guesses = wrongGuesses(right, 30).map((binding_code) => finish({ mfa_token, oob_code, binding_code }));
    const answers = (await Promise.all(guesses)).map(({ status }) => status);
    expect(answers.toSorted()).toEqual([...Array(10).fill(400), ...Array(20).fill(429)]);
    expect(code(await finish({ mfa_token, oob_code, binding_code: right }))).toEqual([429, "too_many_attempts"]);
  });

  it("answers 404 for a channel that the person has not", async () => {
    const user = await person("sms");
    const { mfa_token } = (await logIn(user.email)).body;
    expect(code(await challenge(mfa_token, "email"))).toEqual([404, "not_found"]);
  });

  it("finishes auth/authorize at the same endpoint, with the promised 302", async () => {
    const user = await person("sms");
    const client = await addClient(latchkey, tenant.account_id, {}, "of-two-names");
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const begun = { client_id: client.client_id, state: "s 1", nonce: "n", response_type: "authenticate" };
    const verification_code = await mintCode(tenant, { client_id: client.id, user_id: user.id });
    const first = await authorize(tenant, { ...begun, verification_code });
    expect(code(first)).toEqual([403, "mfa_required"]);
    expect(first.headers.get("location")).toBeNull();
    const { mfa_token } = first.body;
    const { oob_code } = (await challenge(mfa_token)).body;
    const binding_code = await received(user.phone_number);
    expect(code(await finish({ mfa_token, oob_code, binding_code }))).toEqual([400, "invalid_grant"]);
    const { client_id } = await addClient(latchkey, tenant.account_id);
    const pkce = { code_challenge: "c".repeat(43), code_challenge_method: "S256" };
    const presented = { mfa_token, oob_code, binding_code };
    for (const other of [{ state: "another" }, { client_id }, { client_id: "nobody" }, pkce, { scope: "openid" }]) {
      const reply = await authorize(tenant, { state: undefined, ...presented, ...other });
      expect([reply.status, reply.body?.error?.message], JSON.stringify(other)).toEqual([
        400,
        "mfa_token belongs to another request.",
      ]);
    }
    const done = await authorize(tenant, {
      ...presented,
      client_id: client.id,
      state: undefined,
      redirect_uri: undefined,
    });
    expect(done.status, done.text).toBe(302);
    const location = new URL(done.headers.get("location") ?? "");
    expect(location.href.startsWith(`${CALLBACK}?id_token=`)).toBe(true);
    expect(location.searchParams.get("state")).toBe("s 1");
    const id_token = claimsOf(location.searchParams.get("id_token") ?? "");
    expect(id_token).toMatchObject({ sub: user.id, nonce: "n", amr: ["otp", "sms", "mfa"] });
    expect(code(await authorize(tenant, { ...presented, client_id: client.id, state: undefined }))).toEqual([
      400,
      "invalid_grant",
    ]);
  });

  it("finishes auth/authorize for no client that is gone meanwhile, and says that it is gone", async () => {
    const user = await person("sms");
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const { client_id } = client;
    const verification_code = await mintCode(tenant, { client_id: client.id, user_id: user.id });
    const { mfa_token } = (await authorize(tenant, { client_id, verification_code })).body;
    const { oob_code } = (await challenge(mfa_token)).body;
    const presented = { mfa_token, oob_code, binding_code: await received(user.phone_number) };
    const gone = await call(`${tenant.base}/auth/clients/${client.id}`, { method: "DELETE", token: tenant.token });
    expect(gone.status, gone.text).toBe(200);
    expect(code(await authorize(tenant, { ...presented, client_id }))).toEqual([403, "unauthorized_client"]);
    for (const other of ["nobody", (await addClient(latchkey, tenant.account_id)).client_id])
      expect(code(await authorize(tenant, { ...presented, client_id: other }))).toEqual([400, "invalid_grant"]);
  });

  it("is another one than the first: a mailed code is no second factor after a mailed code", async () => {
    const user = await person("email");
    const reply = await authorize(tenant, { verification_code: await mintCode(tenant, { user_id: user.id }) });
    expect(code(reply)).toEqual([403, "access_denied"]);
  });

  it("recovers a lost password over two different channels, and tells nobody who exists", async () => {
    const user = await person("sms");
    const recover = (username: string, oob_channel = "sms") =>
      call(`${tenant.base}/auth/mfa/recovery`, {
        method: "POST",
        token: tenant.token,
        json: { challenge_type: "oob", username, audience: tenant.audience, oob_channel },
      });
    const begun = await recover(user.email);
    expect(begun.status, begun.text).toBe(200);
    const sms = await received(user.phone_number);
    const half = await finish({ mfa_token: begun.body.mfa_token, oob_code: begun.body.oob_code, binding_code: sms });
    expect(code(half)).toEqual([403, "mfa_required"]);
    expect(half.body.access_token).toBeUndefined();
    const { mfa_token } = half.body;
    expect(code(await challenge(mfa_token, "sms"))).toEqual([400, "invalid_request"]);
    const { oob_code } = (await challenge(mfa_token)).body;
    const done = await finish({ mfa_token, oob_code, binding_code: await received(user.email) });
    expect(done.status, done.text).toBe(200);
    expect(claimsOf(done.body.access_token).amr).toEqual(["otp", "sms", "mfa"]);
    const nobody = await recover("nobody@example.com");
    expect([nobody.status, Object.keys(nobody.body)]).toEqual([200, Object.keys(begun.body)]);
    expect(await inbox(tenant, "nobody@example.com")).toEqual([]);
  });

  it("sends the binding code over the channel that is left when nobody says which, and says so when none is", async () => {
    const user = await person("email");
    const { mfa_token } = (await logIn(user.email)).body;
    expect((await challenge(mfa_token)).status).toBe(200);
    expect(await received(user.email)).toMatch(/^\d{6}$/);
    const email = "reachable-by-mail-alone@example.com";
    const made = await call(`${tenant.base}/customers/users`, {
      method: "POST",
      token: tenant.token,
      json: { email, password: PASSWORD },
    });
    expect(made.status, made.text).toBe(200);
    const json = { challenge_type: "oob", username: email, audience: tenant.audience, oob_channel: "email" };
    const begun = await call(`${tenant.base}/auth/mfa/recovery`, { method: "POST", token: tenant.token, json });
    const { oob_code } = begun.body;
    const half = await finish({ mfa_token: begun.body.mfa_token, oob_code, binding_code: await received(email) });
    expect(code(half)).toEqual([403, "mfa_required"]);
    for (const channel of [undefined, "sms"])
      expect(code(await challenge(half.body.mfa_token, channel)), channel).toEqual([404, "not_found"]);
  });

  it("takes a one-time password of an app once, of this step or a neighbour", async () => {
    const own = await createTenant(latchkey);
    const me = await logInAccountUser(latchkey, own);
    const user = (method: string, path: string, bearer: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user${path}`, { method, token: bearer, ...(json ? { json } : {}) });
    const { secret, uri } = (await user("POST", "/mfa/totp", me.token)).body;
    expect(uri).toContain(`secret=${secret}`);
    expect((await logInByMail(own, me.client, me.email)).status).toBe(200);
    const first = oneTimePassword(secret);
    expect((await user("PUT", "/mfa/totp", me.token, { otp: first })).status).toBe(201);
    const shown = await call(`${own.base}/management/users`, { token: own.token });
    expect(shown.body[0].configuration.mfa.totp.enabled).toBe(true);
    const pending = await logInByMail(own, me.client, me.email);
    expect(code(pending)).toEqual([403, "mfa_required"]);
    const { mfa_token } = pending.body;
    const send = (otp: string) => token(own, { grant_type: "mfa_oob", mfa_token, otp });
    expect(code(await send(first))).toEqual([400, "invalid_grant"]);
    expect(code(await send(oneTimePassword(secret, 5)))).toEqual([400, "invalid_grant"]);
    const otp = oneTimePassword(secret, 1);
    const replies = await Promise.all([send(otp), send(otp), send(otp)]);
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 400, 400]);
    const fresh = replies.find(({ status }) => status === 200)?.body.access_token;
    expect(claimsOf(fresh).amr).toEqual(["otp", "mfa"]);
    const again = (await logInByMail(own, me.client, me.email)).body.mfa_token;
    expect(code(await token(own, { grant_type: "mfa_oob", mfa_token: again, otp }))).toEqual([400, "invalid_grant"]);
    expect((await user("PUT", "/mfa/totp", me.token, { enabled: false })).status).toBe(403);
    expect((await user("PUT", "/mfa/totp", fresh, { enabled: false })).status).toBe(201);
    expect((await logInByMail(own, me.client, me.email)).status).toBe(200);
  });

  it("is asked of every customer with a password where the account says so, who is then told where it goes", async () => {
    const own = await createTenant(latchkey, { settings: { mfa_login: true } });
    const user = await addPerson(latchkey, own.account_id);
    const about = { audience: own.audience, type: "customer", ident_type: "email", ident: user.email };
    const send = (path: string, json: object) => call(`${own.base}${path}`, { method: "POST", token: own.token, json });
    expect(code(await send("/customers/login", { ...about, password: PASSWORD }))).toEqual([403, "mfa_required"]);
    const begun = await send("/customers/mfa_login", { ...about, secret: PASSWORD });
    expect(begun.body).toMatchObject({ challenge_type: "oob", oob_channel: "sms" });
    expect(begun.body.links.map(({ rel }: { rel: string }) => rel)).toEqual(["mfa_challenge", "mfa_oob"]);
    expect(begun.body.links[0].href).toBe(`${own.issuer}/auth/mfa/challenge`);
    const { mfa_token } = begun.body;
    const { oob_code } = (await send("/auth/mfa/challenge", { challenge_type: "oob", mfa_token })).body;
    const binding_code = (await inbox(own, user.phone_number))[0]?.verification_code;
    const done = await token(own, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
    expect(done.status, done.text).toBe(200);
    await setFactors(latchkey, own.account_id, user.id, {});
  });

  it("goes where customers/mfa_login says, over a channel that the person has", async () => {
    const own = await createTenant(latchkey, { settings: { mfa_login: true } });
    const [by_mail, by_app] = [await addPerson(latchkey, own.account_id), await addPerson(latchkey, own.account_id)];
    const send = (path: string, json: object) => call(`${own.base}${path}`, { method: "POST", token: own.token, json });
    const begin = async (ident: string) => {
      const about = { audience: own.audience, type: "customer", ident_type: "email", ident };
      return (await send("/customers/mfa_login", { ...about, secret: PASSWORD })).body;
    };
    const challenge = async ({ mfa_token }: { mfa_token: string }, more: object = {}) =>
      (await send("/auth/mfa/challenge", { challenge_type: "oob", mfa_token, ...more })).status;
    const both = await addPerson(latchkey, own.account_id, { factors: ["sms", "email"] });
    expect((await begin(both.email)).oob_channel).toBe("sms");
    const { storage } = latchkey.server.core;
    const change = (id: string, fields: { phone_verified_at?: null; second_factor?: 1 }) =>
      storage.write((tx) => tx.db.updateTable("users").set(fields).where("id", "=", id).execute());
    await change(by_mail.id, { phone_verified_at: null });
    const mailed = await begin(by_mail.email);
    expect(mailed.oob_channel).toBe("email");
    expect(await challenge(mailed, { oob_channel: mailed.oob_channel })).toBe(200);
    const totp = {
      kind: "totp",
      target: null,
      seed: Buffer.alloc(20),
      enabled_at: "2026-01-01",
      last_step: 0,
    } as const;
    const row = { account_id: own.account_id, user_id: by_app.id, ...totp, updated_at: "2026-01-01" };
    await storage.write((tx) => tx.db.insertInto("factors").values(row).execute());
    const app = await begin(by_app.email);
    expect([app.challenge_type, "oob_channel" in app, await challenge(app)]).toEqual(["oob", false, 404]);
    await call(`${own.base}/auth/settings`, {
      method: "PATCH",
      token: own.token,
      json: { mfa_login_channel: "email" },
    });
    const preferred = await begin(both.email);
    expect([preferred.oob_channel, await challenge(preferred)]).toEqual(["email", 200]);
    expect((await inbox(own, both.email)).length).toBe(1);
  });
});
