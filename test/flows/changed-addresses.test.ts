/** An address or number that changes, by whom it may, and what ends with the one before. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addGrant,
  addUser,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, personToken, QUICK_HASH, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { answered, pkce, standardClient, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { openUpstream } from "../support/upstream.ts";

describeOnBothEngines("an address or number that changes", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
  });
  afterAll(() => latchkey.close());

  const change = (tenant: Tenant, id: string, operation: "send" | "confirm", json: object, token: string) =>
    call(`${tenant.base}/customers/users/${id}/communication/${operation}-verification-code/email`, {
      ...{ method: "POST", token, json },
    });

  it("is changed by nobody whom another provider alone has logged in, which counts at its own client", async () => {
    const tenant = await createTenant(latchkey);
    const { client_id, user, issuer, base } = { ...tenant, client_id: tenant.client.client_id };
    const upstream = await openUpstream({ ada: { email: user.email, email_verified: true } });
    const { issuer: authority, ...shown } = upstream;
    const oidc = { client_id: shown.client_id, client_secret: shown.client_secret, authority };
    const grant = { client_id, audience: issuer, scope: ["user:customers"], type: "authorization_code" };
    const trusted = { ...grant, oidc: { ...oidc, trusted_domains: ["example.com"] } };
    expect(
      (await call(`${base}/auth/client-grants`, { method: "POST", token: tenant.token, json: trusted })).status,
    ).toBe(200);
    const about = { grant_type: "authorization_code", client_id, audience: issuer, redirect_uri: CALLBACK };
    const json = { ...about, code: await upstream.logIn("ada") };
    const { access_token } = (await call(`${base}/auth/oidc/token`, { method: "POST", token: tenant.token, json }))
      .body;
    expect(claimsOf(access_token)).toMatchObject({ sub: user.id, amr: [] });
    const value = `mallory-${user.email}`;
    expect(code(await change(tenant, user.id, "send", { value }, access_token))).toEqual([403, "insufficient_scope"]);
    expect(await inbox(tenant, value)).toEqual([]);
    expect((await change(tenant, user.id, "send", { value }, tenant.token)).status, "by the account's own").toBe(204);
    const right = { code: (await inbox(tenant, value))[0]?.verification_code };
    expect(code(await change(tenant, user.id, "confirm", right, access_token))).toEqual([403, "insufficient_scope"]);
    expect((await change(tenant, user.id, "confirm", right, tenant.token)).status).toBe(204);
    await upstream.close();
  });

  it("is changed by no client that the person was asked about, or that the account did not make", async () => {
    const tenant = await createTenant(latchkey, {
      settings: { open_registration: true },
      scope: ["admin:accounts", "user:customers"],
    });
    const { directory } = latchkey.server.core;
    await changeSettings(
      directory,
      tenant.account_id,
      { public_client_grants: { [tenant.issuer]: ["user:customers"] } },
      actor,
    );
    const { user, base } = tenant;
    const json = { redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" };
    const registered = (await call(`${base}/oauth/register`, { method: "POST", json })).body as { client_id: string };
    const third = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, third, tenant.issuer, ["user:customers"]);
    const standard = standardClient(latchkey, tenant, third);
    const asked = { scope: "openid user:customers", resource: tenant.issuer };
    const by = async (client: Pick<TestClient, "client_id">, own: TestClient | null) => {
      const shown = await openSurfer(latchkey).logIn(standard.address(client, { ...asked, ...pkce }), tenant);
      const code = answered(shown).get("code") ?? "";
      const form = { grant_type: "authorization_code", redirect_uri: CALLBACK, code_verifier: VERIFIER, code };
      const { body } = await standard.token(own ? form : { ...form, client_id: client.client_id }, own);
      expect(claimsOf(body.access_token).scope).toContain("user:customers");
      return body.access_token as string;
    };
    const value = `mallory-${user.email}`;
    const of_others = [await by(registered, null), await by(third, third)];
    for (const token of of_others) {
      const refused = await change(tenant, user.id, "send", { value }, token);
      expect(code(refused)).toEqual([403, "insufficient_scope"]);
      expect(refused.text).toContain("first_party");
    }
    expect(await inbox(tenant, value)).toEqual([]);
    const own = await personToken(tenant);
    expect((await change(tenant, user.id, "send", { value }, own)).status, "nobody was asked").toBe(204);
    const right = { code: (await inbox(tenant, value))[0]?.verification_code };
    for (const token of of_others)
      expect(code(await change(tenant, user.id, "confirm", right, token))).toEqual([403, "insufficient_scope"]);
    const consents = `${base}/customers/users/${user.id}/consents`;
    for (const token of of_others) expect((await call(consents, { token })).status, "harms nobody").toBe(200);
    expect((await change(tenant, user.id, "confirm", right, own)).status).toBe(204);
  });

  /** Somebody's login in a browser of its own, at the account API, with what it led to. */
  async function logIn(tenant: Tenant, shop: TestClient, who: string) {
    const standard = standardClient(latchkey, tenant, shop);
    const surfer = openSurfer(latchkey);
    const shown = await surfer.logIn(standard.address(shop, { resource: tenant.issuer }), tenant, who);
    const { body } = await standard.redeem(answered(shown).get("code") ?? "");
    expect(claimsOf(body.access_token).scope).toContain("user:customers");
    return { surfer, standard, tokens: body as { access_token: string; refresh_token: string } };
  }

  /** What a login is good for: its token, its refresh token, another answer in its browser. */
  async function lives({ surfer, standard, tokens }: Awaited<ReturnType<typeof logIn>>, id: string) {
    const { access_token: token, refresh_token } = tokens;
    const consents = `${standard.address().split("/oauth/")[0]}/customers/users/${id}/consents`;
    const used = await call(consents.replace(latchkey.config.public_url, latchkey.url), { token });
    const refreshed = await standard.token({ grant_type: "refresh_token", refresh_token });
    const silent = answered(await surfer.visit(standard.address(undefined, { prompt: "none" })));
    return [used.status, refreshed.status, silent.get("error") ?? "code"];
  }

  async function openShop() {
    const tenant = await createTenant(latchkey);
    const shop = await addClient(latchkey, tenant.account_id, {
      ...{ first_party: true, refresh_without_offline_access: true },
      grant_types: ["authorization_code", "refresh_token"],
    });
    await addGrant(latchkey, tenant.account_id, shop, tenant.issuer, ["user:customers"]);
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const [own, thief] = [await logIn(tenant, shop, email), await logIn(tenant, shop, email)];
    const to = async (field: "email" | "phone_number", value: string, token: string) => {
      const path = (operation: string) =>
        `${tenant.base}/customers/users/${id}/communication/${operation}-verification-code/${field}`;
      await call(path("send"), { method: "POST", token, json: { value } });
      const json = { code: (await inbox(tenant, value))[0]?.verification_code };
      return (await call(path("confirm"), { method: "POST", token, json })).status;
    };
    return { tenant, id, email, own, thief, to };
  }

  it.each([
    ["email", "elsewhere@example.com"],
    ["phone_number", "+4740222444"],
  ] as const)(
    "ends with the %s of before what came by it, and leaves the login that makes the change",
    async (field, value) => {
      const { id, own, thief, to } = await openShop();
      expect(await to(field, value, own.tokens.access_token)).toBe(204);
      expect(await lives(thief, id)).toEqual([401, 400, "login_required"]);
      expect(await lives(own, id)).toEqual([200, 200, "code"]);
    },
  );

  it("ends all that came by it where somebody else makes the change", async () => {
    const { tenant, id, own, thief, to } = await openShop();
    expect(await to("email", "elsewhere@example.com", tenant.token)).toBe(204);
    for (const login of [thief, own]) expect(await lives(login, id)).toEqual([401, 400, "login_required"]);
  });

  it("ends nothing where it is the one of before, or the first one", async () => {
    const { tenant, id, email, own, thief, to } = await openShop();
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db.updateTable("users").set({ phone_verified_at: null }).where("id", "=", id).execute(),
    );
    expect(await to("email", email.toUpperCase(), tenant.token)).toBe(204);
    expect(await to("phone_number", "+4740222555", tenant.token)).toBe(204);
    for (const login of [thief, own]) expect(await lives(login, id)).toEqual([200, 200, "code"]);
  });

  it.each([
    ["phone_number", "+4740222999"],
    ["email", "first@example.com"],
  ] as const)(
    "is told, where it is a first %s, to the other that logs them in, and to nobody else",
    async (field, value) => {
      const { tenant, id, email, own, to } = await openShop();
      const { storage } = latchkey.server.core;
      const { phone_number } = await storage.read
        .selectFrom("users")
        .select("phone_number")
        .where("id", "=", id)
        .executeTakeFirstOrThrow();
      const set = (fields: Readonly<Record<string, null>>) =>
        storage.write(({ db }) => db.updateTable("users").set(fields).where("id", "=", id).execute());
      const none = {
        email: { email: null, email_canonical: null, email_verified_at: null },
        phone_number: { phone_number: null, phone_verified_at: null },
      };
      await set(none[field]);
      const other = field === "email" ? String(phone_number) : email;
      const before = (await inbox(tenant, other)).length;
      expect(await to(field, value, own.tokens.access_token)).toBe(204);
      const [told, ...rest] = await inbox(tenant, other);
      expect([told?.text, rest.length]).toEqual([
        expect.stringContaining("Another address or number now logs in"),
        before,
      ]);
      expect(told?.verification_code).toBeUndefined();
      expect(await to(field, value, own.tokens.access_token), "verified once more").toBe(204);
      expect(await inbox(tenant, other)).toHaveLength(before + 1);
      await set(none[field]);
      await set(field === "email" ? { phone_verified_at: null } : { email_verified_at: null });
      expect(await to(field, value, own.tokens.access_token)).toBe(204);
      expect(await inbox(tenant, other), "which is not theirs").toHaveLength(before + 1);
    },
  );

  it("that is a second factor beside another one is left by whoever has shown both", async () => {
    const scope = ["admin:accounts", "admin:customers", "user:customers"];
    const tenant = await createTenant(latchkey, { scope, settings: { mfa_login: true } });
    const { id, email, phone_number } = await addPerson(latchkey, tenant.account_id, { hash: QUICK_HASH });
    const by_code = () => personToken({ ...tenant, user: { ...tenant.user, id } });
    const by_both = async () => {
      const first = { grant_type: "password", username: email, password: PASSWORD, audience: tenant.issuer };
      const { mfa_token } = (await token(tenant, first)).body;
      const json = { challenge_type: "oob", mfa_token };
      const asked = await call(`${tenant.base}/auth/mfa/challenge`, { method: "POST", token: tenant.token, json });
      const { oob_code } = asked.body;
      const binding_code = (await inbox(tenant, phone_number))[0]?.verification_code;
      return (await token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code })).body.access_token;
    };
    const at = async (operation: string, field: string, token: string, json: object) => {
      const path = `/customers/users/${id}/communication/${operation}-verification-code/${field}`;
      const { status, body } = await call(`${tenant.base}${path}`, { method: "POST", token, json });
      return [status, body?.error?.code];
    };
    const right = async (to: string) => ({ code: (await inbox(tenant, to))[0]?.verification_code });
    const [done, refused] = [
      [204, undefined],
      [403, "insufficient_scope"],
    ];
    const both = await by_both();
    for (const [field, own, value] of [
      ["phone_number", phone_number, "+4740222123"],
      ["email", email, `left-${email}`],
    ] as const) {
      const one = await by_code();
      expect(await at("send", field, one, { value }), field).toEqual(refused);
      expect(await inbox(tenant, value)).toEqual([]);
      expect(await at("send", field, one, {}), "which is no change").toEqual(done);
      expect(await at("confirm", field, one, await right(own))).toEqual(done);
      expect(await at("send", field, both, { value })).toEqual(done);
      const shown = await right(value);
      for (let n = 0; n < 11; n++) expect(await at("confirm", field, one, shown)).toEqual(refused);
      expect(await at("confirm", field, both, shown), "the code was no guess").toEqual(done);
    }
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db.updateTable("users").set({ phone_verified_at: null }).where("id", "=", id).execute(),
    );
    const next = `alone-${email}`;
    expect(await at("send", "email", await by_code(), { value: next }), "all that there is").toEqual(done);
    expect(await at("confirm", "email", await by_code(), await right(next))).toEqual(done);
  });

  it("is left by nobody who has a second factor and did not show it, where logins skip it", async () => {
    const scope = ["admin:accounts", "admin:customers", "user:customers", "write:accounts:/auth/users/no-mfa"];
    const tenant = await createTenant(latchkey, { scope });
    const { id, email, phone_number } = await addPerson(latchkey, tenant.account_id, {
      ...{ hash: QUICK_HASH, factors: ["email"] },
    });
    const login = { grant_type: "password", username: email, password: PASSWORD, audience: tenant.issuer };
    const { access_token } = (await token(tenant, login)).body;
    expect(claimsOf(access_token).amr).toEqual(["pwd"]);
    const at = async (operation: string, field: string, token: string, json: object) => {
      const path = `/customers/users/${id}/communication/${operation}-verification-code/${field}`;
      return code(await call(`${tenant.base}${path}`, { method: "POST", token, json }));
    };
    for (const [field, value] of [
      ["phone_number", "+4740222456"],
      ["email", `mallory-${email}`],
    ] as const) {
      expect(await at("send", field, access_token, { value }), field).toEqual([403, "insufficient_scope"]);
      expect(await inbox(tenant, value)).toEqual([]);
      expect(await at("send", field, tenant.token, { value })).toEqual([204, undefined]);
      const right = { code: (await inbox(tenant, value))[0]?.verification_code };
      expect(await at("confirm", field, access_token, right)).toEqual([403, "insufficient_scope"]);
    }
    expect(await at("send", "phone_number", access_token, {}), "which is no change").toEqual([204, undefined]);
    const own = { code: (await inbox(tenant, phone_number))[0]?.verification_code };
    expect(await at("confirm", "phone_number", access_token, own)).toEqual([204, undefined]);
  });

  it("takes along the second factor of a user name that went there, and no other", async () => {
    const tenant = await createTenant(latchkey);
    const send = async (method: string, path: string, json?: object) => {
      const reply = await call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });
      expect(reply.status, `${method} ${path} ${reply.text}`).toBeLessThan(300);
      return reply.body;
    };
    const { id, phone_number } = await addUser(latchkey, tenant.account_id);
    const links = (number: string) => [
      { rel: "customers_user", href: `https://shop.example/users/${id}` },
      { rel: "phone_number", href: `tel:${number.slice(0, 3)}%20${number.slice(3)}` },
    ];
    const about = { password: PASSWORD, mfa: { challenge_type: "oob", oob_channels: ["sms"] } };
    await send("POST", "/auth/users", { username: "margaret", ...about, links: links(phone_number) });
    /** Where a binding code arrives after the password. */
    const asked = async (numbers: readonly string[]) => {
      const login = { grant_type: "password", username: "margaret", password: PASSWORD, audience: tenant.audience };
      const { mfa_token } = (await token(tenant, login)).body;
      const before = await Promise.all(numbers.map(async (to) => (await inbox(tenant, to)).length));
      await send("POST", "/auth/mfa/challenge", { challenge_type: "oob", mfa_token });
      const after = await Promise.all(numbers.map(async (to) => (await inbox(tenant, to)).length));
      return numbers.filter((_, at) => (after[at] ?? 0) > (before[at] ?? 0));
    };
    const move = async (value: string) => {
      const at = (operation: string) =>
        `/customers/users/${id}/communication/${operation}-verification-code/phone_number`;
      await send("POST", at("send"), { value });
      await send("POST", at("confirm"), { code: (await inbox(tenant, value))[0]?.verification_code });
    };
    const [next, apart, last] = ["+4740222666", "+4740222777", "+4740222888"];
    await move(next);
    expect(await asked([phone_number, next])).toEqual([next]);
    const { links: shown } = await send("PUT", "/auth/users/margaret", about);
    expect(shown).toEqual([links(phone_number)[0], { rel: "phone_number", href: `tel:${next}` }]);
    expect(await asked([phone_number, next])).toEqual([next]);
    await send("PUT", "/auth/users/margaret", { ...about, links: links(apart) });
    await move(last);
    expect(await asked([next, apart, last])).toEqual([apart]);
    expect((await send("PUT", "/auth/users/margaret", about)).links).toEqual(links(apart));
    await send("PUT", "/auth/users/margaret", { ...about, links: links(last) });
    await send("POST", "/auth/users", { username: "hamilton", ...about, links: links(apart) });
    await send("POST", "/auth/users", { username: "ham", ...about, links: links(next) });
    const moved = "+4740222990";
    await move(moved);
    await send("DELETE", "/auth/users/ham");
    expect(await asked([last, moved, apart]), "by the name that was changed last, of those that are left").toEqual([
      apart,
    ]);
  });
});
