/** Between two factors: what ends a login there, who need not show the second, and how it begins without the first. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { loginTicket, type PendingLogin } from "../../src/authentication/mfa/mfa.ts";
import { sealLogin } from "../../src/authentication/mfa/require-factor.ts";
import { hashPassword, storePassword } from "../../src/authentication/passwords/password.ts";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { openTicket } from "../../src/secrets/ticket.ts";
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
import { addAccountUser, addPerson, logInByMail, PASSWORD, setFactors, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a login between its factors", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object, own = tenant, bearer = own.token) =>
    call(`${own.base}${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  const newest = async (to: string, own = tenant) => (await inbox(own, to))[0]?.verification_code ?? "";
  /** A client of its own that logs people in with this scope, and its grant for the shop's API. */
  const addShop = async (scope: string) => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, [scope]);
    const grant = await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    return { client_id: client.client_id, grant, bearer: await tokenOf(latchkey, tenant.account_id, client) };
  };
  const about = (username: string) => ({
    grant_type: "password",
    username,
    password: PASSWORD,
    audience: tenant.audience,
  });

  it("is skipped by a bearer with the no-mfa scope alone, whichever way a person comes", async () => {
    const user = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const { client_id, bearer } = await addShop("write:accounts:/auth/users/no-mfa");
    const reply = await token(tenant, about(user.email), bearer);
    expect(reply.status, reply.text).toBe(200);
    expect(claimsOf(reply.body.access_token).amr).toEqual(["pwd"]);
    const customer = { audience: tenant.audience, type: "customer", email: user.email, password: PASSWORD };
    const there = await send("POST", "/customers/login", customer, tenant, bearer);
    expect(there.status, there.text).toBe(200);
    expect(claimsOf(there.body.access_token).amr).toEqual(["pwd"]);
    const { storage } = latchkey.server.core;
    const pin = { kind: "pin", hash: await hashPassword(tenant.account_id, secret("295837")) } as const;
    await storage.write((tx) => storePassword(tx, tenant.account_id, user.id, pin, storage.now()));
    const byPin = async (bearer: string) =>
      code(await send("POST", "/customers/login", { ...customer, password: "295837" }, tenant, bearer));
    expect(await byPin(bearer), "a PIN is none without a second factor").toEqual([400, "invalid_grant"]);
    expect(await byPin(tenant.token)).toEqual([403, "mfa_required"]);
    const authorized = async (bearer: string) =>
      authorize(
        tenant,
        { client_id, verification_code: await mintCode(tenant, { client_id, user_id: user.id }) },
        { token: bearer },
      );
    const sent = await authorized(bearer);
    expect(sent.status, sent.text).toBe(302);
    const id_token = new URL(sent.headers.get("location") ?? "").searchParams.get("id_token") ?? "";
    expect(claimsOf(id_token)).toMatchObject({ sub: user.id, amr: ["otp"], acr: "urn:latchkey:acr:1fa" });
    expect(code(await authorized(tenant.token)), "by whom it is not skipped").toEqual([403, "mfa_required"]);
  });

  it.each(["token", "authorize"] as const)(
    "ends at auth/%s with the person, the client's grant and its ten minutes",
    async (at) => {
      /** A login that lacks nothing but to be finished. */
      const begin = async () => {
        const user = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
        const { client_id, grant, bearer } = await addShop("write:accounts:/auth/users");
        const first =
          at === "token"
            ? await token(tenant, about(user.email), bearer)
            : await authorize(
                tenant,
                { client_id, verification_code: await mintCode(tenant, { client_id, user_id: user.id }) },
                { token: bearer },
              );
        expect(code(first)).toEqual([403, "mfa_required"]);
        const { mfa_token } = first.body;
        const challenge = { challenge_type: "oob", mfa_token };
        const { oob_code } = (await send("POST", "/auth/mfa/challenge", challenge)).body;
        const factor = { oob_code, binding_code: await newest(user.phone_number) };
        const finish = (mfa_token: string) =>
          at === "token"
            ? token(tenant, { grant_type: "mfa_oob", mfa_token, ...factor }, bearer)
            : authorize(tenant, { client_id, mfa_token, ...factor }, { token: bearer });
        return { user, grant, mfa_token, finish };
      };
      const { directory, storage } = latchkey.server.core;
      /** As it is so many seconds later. */
      const aged = (mfa_token: string, seconds: number) => {
        const kind = loginTicket(tenant.account_id);
        const pending = openTicket<PendingLogin>(directory.master_keys, kind, secret(mfa_token));
        if (!pending) throw new Error("no login");
        const expires_at = pending.expires_at - seconds * 1000;
        return reveal(sealLogin(directory.master_keys, tenant.account_id, { ...pending, expires_at }));
      };
      const leaver = await begin();
      expect((await send("DELETE", `/customers/users/${leaver.user.id}`)).status).toBe(200);
      expect(code(await leaver.finish(leaver.mfa_token)), "person").toEqual([400, "invalid_grant"]);
      const ungranted = await begin();
      expect((await send("DELETE", `/auth/client-grants/${ungranted.grant}`)).status).toBe(200);
      expect(code(await ungranted.finish(ungranted.mfa_token)), "grant").toEqual(
        at === "token" ? [400, "invalid_grant"] : [403, "unauthorized_client"],
      );
      const elsewhere = await begin();
      await storage.write(async ({ db }) => {
        const deleted_at = new Date(storage.now()).toISOString();
        await db.updateTable("grants").set({ deleted_at }).where("id", "=", elsewhere.grant).execute();
      });
      // Also once this process does not remember it any more.
      expect([[400, "invalid_grant"], ...(at === "token" ? [] : [[403, "unauthorized_client"]])]).toContainEqual(
        code(await elsewhere.finish(elsewhere.mfa_token)),
      );
      const slow = await begin();
      expect(code(await slow.finish(aged(slow.mfa_token, 601))), "time").toEqual([400, "invalid_grant"]);
      expect((await slow.finish(aged(slow.mfa_token, 570))).status).toBe(at === "token" ? 200 : 302);
    },
  );

  it.each([
    ["sms", "email"],
    ["email", "sms"],
  ] as const)(
    "begins without a password by %s where the account says so, and then takes %s",
    async (mfa_recovery_channel, other) => {
      const own = await createTenant(latchkey, { settings: { mfa_recovery_channel } });
      const user = await addPerson(latchkey, own.account_id);
      const inboxes = { sms: user.phone_number, email: user.email };
      const named = { audience: own.audience, type: "customer", ident_type: "email", ident: user.email };
      const { body } = await send("POST", "/customers/mfa_login_recovery", named, own);
      expect(body).toMatchObject({ binding_method: "prompt", challenge_type: "oob" });
      expect(body.links).toEqual([{ rel: "mfa_oob", href: `${own.issuer}/auth/token` }]);
      expect(await newest(inboxes[other], own), "nothing goes there yet").toBe("");
      const finish = async (mfa_token: string, oob_code: string, channel: "sms" | "email") =>
        token(own, {
          ...{ grant_type: "mfa_oob", mfa_token, oob_code },
          binding_code: await newest(inboxes[channel], own),
        });
      const half = await finish(body.mfa_token, body.oob_code, mfa_recovery_channel);
      expect(code(half)).toEqual([403, "mfa_required"]);
      expect(half.body.access_token).toBeUndefined();
      const { mfa_token } = half.body;
      const again = { challenge_type: "oob", mfa_token, oob_channel: mfa_recovery_channel };
      expect(code(await send("POST", "/auth/mfa/challenge", again, own))).toEqual([400, "invalid_request"]);
      const { oob_code } = (await send("POST", "/auth/mfa/challenge", { challenge_type: "oob", mfa_token }, own)).body;
      const done = await finish(mfa_token, oob_code, other);
      expect(done.status, done.text).toBe(200);
      expect(claimsOf(done.body.access_token)).toMatchObject({ sub: user.id, acr: "urn:latchkey:acr:2fa" });
      expect(claimsOf(done.body.access_token).amr.toSorted()).toEqual(["mfa", "otp", "sms"]);
      expect(done.body.refresh_token).toBeTruthy();
    },
  );

  it.each(["password", "pin"] as const)("ends with the %s that began it, though the other stands", async (shown) => {
    const own = await createTenant(latchkey, { settings: { mfa_login: true } });
    const kinds = { password: PASSWORD, pin: "295837" };
    const [email, phone_number] = [`both-${shown}@example.com`, shown === "pin" ? "+4741500001" : "+4741500002"];
    const created = await send("POST", "/customers/users", { email, phone_number, ...kinds }, own);
    expect(created.status, created.text).toBe(200);
    const named = { audience: own.audience, type: "customer", ident_type: "email", ident: email };
    const begin = async () =>
      (await send("POST", "/customers/mfa_login", { ...named, secret: kinds[shown] }, own)).body;
    const finish = async ({ mfa_token }: { mfa_token: string }) => {
      const challenge = { challenge_type: "oob", mfa_token, oob_channel: "sms" };
      const { oob_code } = (await send("POST", "/auth/mfa/challenge", challenge, own)).body;
      const binding_code = await newest(phone_number, own);
      return token(own, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
    };
    const [first, late] = [await begin(), await begin()];
    expect((await finish(first)).status, "as long as it stands").toBe(200);
    const { storage } = latchkey.server.core;
    const hashed = {
      kind: shown,
      hash: await hashPassword(own.account_id, secret(shown === "pin" ? "730214" : "a new battery")),
    };
    await storage.write((tx) => storePassword(tx, own.account_id, created.body.id, hashed, storage.now()));
    expect(code(await finish(late))).toEqual([400, "invalid_grant"]);
  });

  /** A login's second factor, by SMS. */
  const finishBySms = async (own: Tenant, { mfa_token }: { mfa_token: string }, phone_number: string) => {
    const { oob_code } = (await send("POST", "/auth/mfa/challenge", { challenge_type: "oob", mfa_token }, own)).body;
    const binding_code = await newest(phone_number, own);
    return () => token(own, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
  };

  it.each(["auth/token", "auth/authorize", "the hosted login", "a recovery"] as const)(
    "ends at %s with whatever ends the person's logins: what came before by an address that they have left is no factor",
    async (at) => {
      const own = await createTenant(latchkey, { settings: { mfa_recovery_channel: "email" } });
      const { client_id } = await addClient(latchkey, own.account_id, { first_party: true });
      type Person = Awaited<ReturnType<typeof addPerson>>;
      const codeOf = ({ id }: Person) => mintCode(own, { user_id: id });
      const named = { audience: own.audience, grant_type: "authorization_code", ident_type: "user_id" };
      /** A login that has shown who reads the mailbox, and lacks nothing but the code by SMS; `finish` shows it. */
      const ways = {
        "auth/token": async (user: Person) => {
          const half = await token(own, { ...named, ident: user.id, verification_code: await codeOf(user) });
          const finish = await finishBySms(own, half.body, user.phone_number);
          return async () => (await finish()).status === 200;
        },
        "auth/authorize": async (user: Person) => {
          const { mfa_token } = (await authorize(own, { verification_code: await codeOf(user) })).body;
          const challenge = { challenge_type: "oob", mfa_token };
          const { oob_code } = (await send("POST", "/auth/mfa/challenge", challenge, own)).body;
          const binding_code = await newest(user.phone_number, own);
          return async () => (await authorize(own, { mfa_token, oob_code, binding_code })).status === 302;
        },
        "the hosted login": async (user: Person) => {
          const surfer = openSurfer(latchkey);
          const about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
          const page = await surfer.visit(`${own.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
          const waiting = await surfer.act(page, "identify", { identifier: user.email });
          const half = await surfer.act(waiting, "code", { code: await newest(user.email, own) });
          const asked = await surfer.act(half, "challenge", { channel: "sms" });
          const code = await newest(user.phone_number, own);
          return async () => (await surfer.act(asked, "factor", { code })).url.startsWith(CALLBACK);
        },
        "a recovery": async (user: Person) => {
          const about = { audience: own.audience, type: "customer", ident_type: "email", ident: user.email };
          const { mfa_token, oob_code } = (await send("POST", "/customers/mfa_login_recovery", about, own)).body;
          const binding_code = await newest(user.email, own);
          const half = await token(own, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
          const finish = await finishBySms(own, half.body, user.phone_number);
          return async () => (await finish()).status === 200;
        },
      };
      const begin = async () => {
        const user = await addPerson(latchkey, own.account_id, { factors: ["sms"] });
        return { user, finish: await ways[at](user) };
      };
      const [stays, leaves] = [await begin(), await begin()];
      const contact = `/customers/users/${leaves.user.id}/communication`;
      const value = `new-${leaves.user.email}`;
      expect((await send("POST", `${contact}/send-verification-code/email`, { value }, own)).status).toBe(204);
      const moved = { code: await newest(value, own) };
      expect((await send("POST", `${contact}/confirm-verification-code/email`, moved, own)).status).toBe(204);
      expect([await stays.finish(), await leaves.finish()]).toEqual([true, false]);
      const user = { ...leaves.user, email: value };
      expect(await (await ways[at](user))(), "begun anew").toBe(true);
    },
  );

  it("gets of what the account gives registered clients what is for its audience, as without a second factor", async () => {
    const [first, audience] = ["https://a.example", "https://b.example"];
    const public_client_grants = { [first]: ["admin:customers", "a:delete"], [audience]: ["b:read"] };
    const own = await createTenant(latchkey, { settings: { open_registration: true, public_client_grants } });
    const registered = await send("POST", "/oauth/register", { redirect_uris: [CALLBACK] }, own);
    const { client_id } = registered.body;
    const logIn = async (ident: string) => {
      const about = { grant_type: "authorization_code", ident_type: "user_id", ident, audience };
      return token(own, { ...about, verification_code: await mintCode(own, { client_id, user_id: ident, audience }) });
    };
    const plain = await logIn((await addPerson(latchkey, own.account_id)).id);
    const guarded = await addPerson(latchkey, own.account_id, { factors: ["sms"] });
    const half = await logIn(guarded.id);
    expect(code(half)).toEqual([403, "mfa_required"]);
    const done = await (await finishBySms(own, half.body, guarded.phone_number))();
    for (const reply of [plain, done]) {
      expect(reply.status, reply.text).toBe(200);
      expect(claimsOf(reply.body.access_token)).toMatchObject({ aud: audience, scope: "b:read" });
    }
  });

  it("gets nothing at the account API by a grant whose name is none of that by then", async () => {
    const name = "https://api.custom.example/v1";
    const own = await createTenant(latchkey, { settings: { api_audiences: [name] } });
    const ada = await addAccountUser(latchkey, own, { scope: ["admin:accounts", "admin:customers"] });
    const phone_number = "+4741600001";
    await setFactors(latchkey, own.account_id, ada.id, { sms: phone_number });
    const client = await addClient(latchkey, own.account_id, { user_type: "account_user" });
    const grant = await addGrant(latchkey, own.account_id, client, name, ["openid", "admin:accounts"]);
    const half = await logInByMail(own, client, ada.email);
    expect(code(half)).toEqual([403, "mfa_required"]);
    const finish = await finishBySms(own, half.body, phone_number);
    expect((await send("PATCH", "/auth/settings", { api_audiences: [] }, own)).status).toBe(200);
    const wider = { scope: ["openid", "admin:accounts", "admin:customers"] };
    expect((await send("PATCH", `/auth/client-grants/${grant}`, wider, own)).status).toBe(200);
    expect(code(await finish())).toEqual([403, "unauthorized_client"]);
  });

  it("tells a client what it should have called or sent", async () => {
    const user = await addPerson(latchkey, tenant.account_id);
    const { audience } = tenant;
    const named = { audience, type: "customer", ident_type: "email", ident: user.email };
    const without = await send("POST", "/customers/mfa_login", { ...named, secret: PASSWORD });
    expect(code(without)).toEqual([403, "access_denied"]);
    expect(without.body.error.message).toContain("use customers/login");
    expect(without.body.mfa_token).toBeUndefined();
    const reset = { audience, type: "customer", email: user.email };
    await send("POST", "/customers/change_password", reset);
    const verification_code = await newest(user.email);
    const half = await send("POST", "/customers/change_password", { ...reset, verification_code });
    expect([...code(half), half.body.error.errors?.[0].path]).toEqual([400, "invalid_request", "password"]);
    const whole = { ...reset, verification_code, password: "a new battery" };
    expect((await send("POST", "/customers/change_password", whole)).status, "the code is good still").toBe(204);
  });
});
