/**
 * A client whose tokens are all bound to a key: the account API, which takes no proofs, gives it none by any way, and
 * keeps whatever it came with.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { athOf, openKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, logInAccountUser, PASSWORD, token } from "../support/people.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { keepRows } from "../support/rows.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const UPSTREAM = "https://upstream.example";

describeOnBothEngines("a client with bound tokens alone", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let upstream: Receiver;
  beforeAll(async () => {
    upstream = await openReceiver();
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await upstream.close();
  });

  const bind = async (at: Tenant, client: TestClient, dpop_bound_access_tokens: boolean) => {
    const changed = { method: "PATCH", token: at.token, json: { dpop_bound_access_tokens } };
    expect((await call(`${at.base}/auth/clients/${client.id}`, changed)).status).toBe(200);
  };

  /** A client that may do everything, and people who log in by it. */
  async function openClient() {
    const { account_id, issuer, audience, base } = tenant;
    const own = await addClient(latchkey, account_id, { response_types: ["authenticate", "token"], first_party: true });
    await addGrant(latchkey, account_id, own, audience, ["orders:read"]);
    await addGrant(latchkey, account_id, own, issuer, ["admin:accounts", "create:accounts:auth:refresh_token"]);
    const oidc = { client_id: "latchkey", client_secret: "upstream-secret", authority: upstream.url };
    const grant = { client_id: own.id, audience: UPSTREAM, scope: [], type: "authorization_code", oidc };
    const granted = await call(`${base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    expect(granted.status, granted.text).toBe(200);
    const bearer = await tokenOf(latchkey, account_id, own);
    const person = await addPerson(latchkey, account_id);
    const careful = await addPerson(latchkey, account_id, { factors: ["sms"] });
    return { own, bearer, person, careful };
  }

  /** Every way to a token, with what it takes; each would do if the client were not bound. */
  async function openWays({ own, bearer, person, careful }: Awaited<ReturnType<typeof openClient>>) {
    const { audience, base } = tenant;
    const api = (path: string, json: object) => call(`${base}/${path}`, { method: "POST", token: bearer, json });
    const log_in = { grant_type: "password", password: PASSWORD, audience };
    const { refresh_token } = (await token(tenant, { ...log_in, username: person.email }, bearer)).body;
    const { mfa_token } = (await token(tenant, { ...log_in, username: careful.email }, bearer)).body;
    const asked = { challenge_type: "oob", mfa_token, oob_channel: "sms" };
    const { oob_code } = (await api("auth/mfa/challenge", asked)).body;
    const binding_code = (await inbox(tenant, careful.phone_number))[0]?.verification_code;
    const codeOf = async (user_id: string, by: string) => {
      const verification_code = await mintCode(tenant, { client_id: own.client_id, user_id });
      const about = { grant_type: "authorization_code", audience, verification_code };
      return () => token(tenant, { ...about, ident_type: "user_id", ident: user_id }, by);
    };
    const customer = { audience, type: "customer" };
    const named = { ...customer, ident_type: "email", ident: careful.email };
    const ways: Record<string, () => Promise<Reply>> = {
      "its own credentials": () => {
        const json = { grant_type: "client_credentials", audience };
        return call(`${base}/auth/token`, { method: "POST", headers: { authorization: basic(own) }, json });
      },
      "a code": await codeOf(tenant.user.id, bearer),
      "a code, by another client that may act for it": await codeOf(person.id, tenant.token),
      "a password": () => token(tenant, { ...log_in, username: person.email }, bearer),
      "a second factor": () => token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code }, bearer),
      "a recovery": () => api("auth/mfa/recovery", { challenge_type: "oob", audience, username: careful.email }),
      "a refresh token": () => token(tenant, { grant_type: "refresh_token", refresh_token }, bearer),
      "customers/login": () => api("customers/login", { ...customer, email: person.email, password: PASSWORD }),
      "customers/mfa_login": () => api("customers/mfa_login", { ...named, secret: PASSWORD }),
      "customers/mfa_login_recovery": () => api("customers/mfa_login_recovery", named),
      "customers/change_password": () => api("customers/change_password", { ...customer, email: person.email }),
      "another provider": () => {
        const about = { client_id: own.client_id, audience: UPSTREAM, code: "x" };
        return api("auth/oidc/token", { grant_type: "authorization_code", ...about });
      },
    };
    return ways;
  }

  const refused = ({ status, body, text }: Reply) => [status, body?.error?.code, text.includes("oauth/token")];

  it("gets no token without a key, by any way of the account API, and loses nothing that it came with", async () => {
    const opened = await openClient();
    const ways = await openWays(opened);
    const staff = await logInAccountUser(latchkey, tenant);
    ways["an account user's token"] = () => token(tenant, { grant_type: "account_user" }, staff.token);
    const partner = await createTenant(latchkey, { account_id: "T77700000" });
    const merchant = await createTenant(latchkey, { account_id: "T77700001" });
    const json = { account_id: merchant.account_id };
    const exchange = { method: "POST", token: partner.token, json };
    const { access_token } = (await call(`${partner.base}/auth/exchange_token`, exchange)).body;
    const there = { grant_type: "client_credentials", audience: merchant.issuer };
    ways["a partner's exchange token"] = () => token(merchant, there, access_token);
    const clients: [Tenant, TestClient][] = [
      [tenant, opened.own],
      [tenant, staff.client],
      [partner, partner.client],
    ];
    for (const [at, client] of clients) await bind(at, client, true);
    const untouched = await keepRows(latchkey, [tenant, partner, merchant]);
    const answers: Record<string, unknown> = {};
    for (const [way, ask] of Object.entries(ways)) answers[way] = refused(await ask());
    const expected = Object.keys(ways).map((way) => [way, [403, "unauthorized_client", true]]);
    expect(answers).toEqual(Object.fromEntries(expected));
    await untouched();
    expect(upstream.all, "what was asked of the other provider").toEqual([]);
    for (const [at, client] of clients) await bind(at, client, false);
    for (const [way, ask] of Object.entries(ways)) answers[way] = (await ask()).status;
    const others = { "customers/change_password": 204, "another provider": 400 };
    const worked = Object.keys(ways).map((way) => [way, 200]);
    expect(answers).toEqual({ ...Object.fromEntries(worked), ...others });
    expect(upstream.all.length).toBeGreaterThan(0);
  });

  it("is sent a person by auth/authorize, but no token, and no code is spent on asking for one", async () => {
    const { own } = await openClient();
    await bind(tenant, own, true);
    const { client_id } = own;
    const verification_code = await mintCode(tenant, { client_id });
    const ask = (response_type: string) => authorize(tenant, { client_id, verification_code, response_type });
    expect((await ask("token")).body.error.code).toBe("unsupported_response_type");
    expect((await ask("authenticate")).status).toBe(302);
  });

  it("gives no token without a key for one that is bound to a key, whichever client's, and spends nothing", async () => {
    const { id: staff, email } = await addUser(latchkey, tenant.account_id, { type: "account_user" });
    const own = await addClient(latchkey, tenant.account_id, {
      ...{ first_party: true, user_type: "account_user", refresh_without_offline_access: true },
      grant_types: ["authorization_code", "refresh_token"],
    });
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["openid", "user:customers"]);
    const standard = standardClient(latchkey, tenant, own);
    const shown = await openSurfer(latchkey).logIn(standard.address(own, { resource: tenant.issuer }), tenant, email);
    const key = await openKey(tenant.issuer);
    const ask = async (form: Record<string, string>, nonce?: string) => {
      const headers = { authorization: basic(own), dpop: await key.proof(nonce ? { nonce } : {}) };
      return call(`${tenant.base}/oauth/token`, { method: "POST", headers, form });
    };
    const code = answered(shown).get("code") ?? "";
    const redeeming = { grant_type: "authorization_code", code, redirect_uri: CALLBACK };
    const nonce = (await ask(redeeming)).headers.get("dpop-nonce") ?? "";
    const { access_token, refresh_token, token_type } = (await ask(redeeming, nonce)).body;
    expect([token_type, claimsOf(access_token).sub]).toEqual(["DPoP", staff]);
    for (const json of [{ grant_type: "account_user" }, { grant_type: "refresh_token", refresh_token }]) {
      const dpop = await key.proof({ nonce, ath: athOf(access_token) }, {}, "/auth/token");
      const headers = { authorization: `DPoP ${access_token}`, dpop };
      const reply = await call(`${tenant.base}/auth/token`, { method: "POST", headers, json });
      expect(refused(reply), json.grant_type).toEqual([403, "unauthorized_client", true]);
    }
    const refreshed = await ask({ grant_type: "refresh_token", refresh_token }, nonce);
    expect([refreshed.status, refreshed.body.token_type], refreshed.text).toEqual([200, "DPoP"]);
  });

  it("refreshes no login of the account API by a token that is bound to a key, and spends nothing", async () => {
    const { own, bearer, person } = await openClient();
    const log_in = { grant_type: "password", password: PASSWORD, username: person.email, audience: tenant.audience };
    const { refresh_token } = (await token(tenant, log_in, bearer)).body;
    const key = await openKey(tenant.issuer);
    const ask = async (nonce?: string) => {
      const headers = { authorization: basic(own), dpop: await key.proof(nonce ? { nonce } : {}) };
      const form = { grant_type: "client_credentials", audience: tenant.issuer };
      return call(`${tenant.base}/oauth/token`, { method: "POST", headers, form });
    };
    const nonce = (await ask()).headers.get("dpop-nonce") ?? "";
    const { access_token, token_type } = (await ask(nonce)).body;
    expect(token_type).toBe("DPoP");
    const dpop = await key.proof({ nonce, ath: athOf(access_token) }, {}, "/auth/token");
    const headers = { authorization: `DPoP ${access_token}`, dpop };
    const json = { grant_type: "refresh_token", refresh_token };
    const reply = await call(`${tenant.base}/auth/token`, { method: "POST", headers, json });
    expect(refused(reply)).toEqual([403, "unauthorized_client", true]);
    expect(reply.text).toContain("bound to a key");
    expect((await token(tenant, json, bearer)).status).toBe(200);
  });
});
