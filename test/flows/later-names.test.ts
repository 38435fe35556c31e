/**
 * A further name of the account API gives nobody a power there that they came by while it was another API's name, and
 * takes none from whoever asks by another name; who came by it has nothing there once it is none any more.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  basic,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  receiveCode,
  startLatchkey,
  tokenOf,
} from "../support/latchkey.ts";
import { addAccountUser, logInByMail, token } from "../support/people.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const NAME = "https://api.custom.example/v1";

describeOnBothEngines("a name that becomes one of the account API", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  it.each(["customer", "account_user"] as const)("makes no administrator of a %s who logged in by it", async (type) => {
    const tenant = await createTenant(latchkey);
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, user_type: type });
    await addGrant(latchkey, tenant.account_id, own, NAME, ["admin:accounts", "admin:customers", "user:customers"]);
    const standard = standardClient(latchkey, tenant, own);
    const person = await addUser(latchkey, tenant.account_id, { type });
    const surfer = openSurfer(latchkey);
    const asked = standard.address(own, { resource: NAME });
    const first = answered(await surfer.logIn(asked, tenant, person.email)).get("code") ?? "";
    const codeNow = async () => answered(await surfer.visit(asked)).get("code") ?? "";
    const before = (await standard.redeem(first)).body;
    expect(before.scope, "at another API").toContain("admin:accounts");
    const late = await codeNow();
    const changed = { method: "PATCH", token: tenant.token, json: { api_audiences: [NAME] } };
    expect((await call(`${tenant.base}/auth/settings`, changed)).status).toBe(200);
    const tokens = [before, (await standard.redeem(late)).body, (await standard.redeem(await codeNow())).body];
    expect(tokens.map(({ scope }) => scope)).toEqual([before.scope, ...Array(2).fill("openid user:customers")]);
    for (const { access_token: token } of tokens) {
      const send = (path: string, options: CallOptions = {}) => call(`${tenant.base}${path}`, { token, ...options });
      const json = { email: "mallory@example.com", scope: ["admin:accounts"] };
      const refused = [
        await send("/auth/clients"),
        await send(`/auth/clients/${tenant.client.id}/rotate-secret`, { method: "POST" }),
        await send("/management/users", { method: "POST", json }),
      ];
      expect(refused.map(({ status }) => status)).toEqual([403, 403, 403]);
      expect((await send(`/customers/users/${person.id}/consents`)).status, "what is their own").toBe(200);
      const introspected = { method: "POST", headers: { authorization: basic(own) }, form: { token } };
      const told = (await call(`${tenant.base}/oauth/introspect`, introspected)).body;
      expect([told.active, told.scope]).toEqual([true, "openid user:customers"]);
    }
  });

  it("hides no grant of a client from whoever asks by the name that it has", async () => {
    const tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, NAME, ["read:accounts"]);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts", "read:customers"]);
    const before = claimsOf(await tokenOf(latchkey, tenant.account_id, client)).scope;
    const changed = { method: "PATCH", token: tenant.token, json: { api_audiences: [NAME] } };
    expect((await call(`${tenant.base}/auth/settings`, changed)).status).toBe(200);
    expect(claimsOf(await tokenOf(latchkey, tenant.account_id, client)).scope).toBe(before);
    const headers = { authorization: basic(client) };
    const json = { grant_type: "client_credentials", audience: NAME };
    const by_name = await call(`${tenant.base}/auth/token`, { method: "POST", headers, json });
    expect(claimsOf(by_name.body.access_token).scope).toBe("read:accounts");
  });

  it("ends what hangs on a grant that has it, once it is taken out again", async () => {
    const tenant = await createTenant(latchkey, { settings: { api_audiences: [NAME] } });
    const held = ["admin:accounts", "admin:customers"];
    const ada = await addAccountUser(latchkey, tenant, { scope: held });
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, user_type: "account_user" });
    const scope = ["openid", ...held, "write:accounts:/auth/users", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, client, NAME, scope);
    const other = await logInByMail(tenant, ada.client, ada.email);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const logIn = async () => {
      const verification_code = await receiveCode(tenant, { client, email: ada.email, audience: tenant.issuer });
      const about = {
        grant_type: "authorization_code",
        ident_type: "email",
        ident: ada.email,
        audience: tenant.issuer,
      };
      return (await token(tenant, { ...about, verification_code }, bearer)).body;
    };
    const login = await logIn();
    const list = async (by: string) => (await call(`${tenant.base}/auth/clients`, { token: by })).status;
    const standing = () => Promise.all([bearer, login.access_token, other.body.access_token, tenant.token].map(list));
    const set = async (api_audiences: string[]) => {
      const changed = await call(`${tenant.base}/auth/settings`, {
        ...{ method: "PATCH", token: tenant.token, json: { api_audiences } },
      });
      expect(changed.status, changed.text).toBe(200);
    };
    await set([NAME, "https://another.example"]);
    await set([NAME]);
    expect(await standing(), "another name").toEqual([200, 200, 200, 200]);
    await set([]);
    expect(await standing()).toEqual([401, 401, 200, 200]);
    const refused = await token(tenant, { grant_type: "account_user" }, login.access_token);
    expect(refused.status).toBe(401);
    const form = { grant_type: "refresh_token", refresh_token: login.refresh_token };
    const grant_types = ["authorization_code", "refresh_token"];
    const refreshing = { method: "PATCH", token: tenant.token, json: { grant_types } };
    expect((await call(`${tenant.base}/auth/clients/${client.id}`, refreshing)).status).toBe(200);
    const refreshed = await standardClient(latchkey, tenant, client).token(form);
    expect([refreshed.status, refreshed.body.error]).toEqual([400, "invalid_grant"]);
  });
});
