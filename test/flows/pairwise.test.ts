/** People have another `sub` in each sector, and no way round shows the one underneath. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openReceiver } from "../support/receiver.ts";
import { until } from "../support/smtp.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const STOCK = "https://stock.example";

describeOnBothEngines("pairwise subjects", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    own = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      subject_type: "pairwise",
      require_pkce: false,
      grant_types: ["authorization_code", EXCHANGE],
    });
    await addGrant(latchkey, tenant.account_id, own, STOCK, ["stock:read"]);
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["openid"]);
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(() => latchkey.close());

  const tokensFor = async (resource: string) =>
    (await standard.redeem(await standard.codeFor(own, { resource }))).body as Record<
      "id_token" | "access_token",
      string
    >;

  it("are the same in the ID token, the access token and what it is exchanged for", async () => {
    const { id_token, access_token } = await tokensFor(STOCK);
    const { sub } = claimsOf(id_token);
    expect(sub).toMatch(/^[A-Za-z0-9_-]{22}$/);
    const type = "urn:ietf:params:oauth:token-type:access_token";
    const form = { grant_type: EXCHANGE, subject_token: access_token, subject_token_type: type, audience: STOCK };
    const exchanged = await standard.token(form);
    expect(exchanged.status, exchanged.text).toBe(200);
    expect([claimsOf(access_token).sub, claimsOf(exchanged.body.access_token).sub]).toEqual([sub, sub]);
  });

  it("are what introspection tells of refresh tokens as well", async () => {
    const pair = { first_party: true, subject_type: "pairwise", require_pkce: false } as const;
    const grant_types: ("authorization_code" | "refresh_token")[] = ["authorization_code", "refresh_token"];
    const settings = { ...pair, grant_types, refresh_without_offline_access: true };
    const lasting = await addClient(latchkey, tenant.account_id, settings);
    const { body } = await standard.redeem(await standard.codeFor(lasting), lasting);
    const told = async (token: string) =>
      (
        await call(`${tenant.base}/oauth/introspect`, {
          method: "POST",
          headers: { authorization: basic(lasting) },
          form: { token },
        })
      ).body.sub;
    const { sub } = claimsOf(body.id_token);
    expect([await told(body.access_token), await told(body.refresh_token)]).toEqual([sub, sub]);
  });

  it("are not shared by apps because they have no host", async () => {
    const subjects = new Set<string>();
    const { email } = tenant.user;
    for (const callback of ["com.one.app:/cb", "com.two.app:/cb", "http://127.0.0.1/cb", "http://127.0.0.1/cb"]) {
      const settings = { first_party: true, subject_type: "pairwise", require_pkce: false } as const;
      const app = await addClient(latchkey, tenant.account_id, { ...settings, callbacks: [callback] });
      const at = { redirect_uri: callback };
      const shown = await openSurfer(latchkey).logIn(standard.address(app, at), tenant, email);
      const { body, text } = await standard.redeem(answered(shown).get("code") ?? "", app, at);
      expect(body.id_token, text).toBeTruthy();
      subjects.add(claimsOf(body.id_token).sub);
    }
    expect(subjects.size).toBe(4);
  });

  it("are not given away by the session's name, which clients hear of in ID tokens and when it ends", async () => {
    const hears = await openReceiver();
    const clientAt = (host: string) =>
      addClient(latchkey, tenant.account_id, {
        ...{ first_party: true, subject_type: "pairwise", require_pkce: false, callbacks: [`https://${host}/cb`] },
        ...{ post_logout_redirect_uris: [`https://${host}/bye`], backchannel_logout_uri: `${hears.url}/${host}` },
      });
    const surfer = openSurfer(latchkey);
    const { email } = tenant.user;
    const logIn = async (client: TestClient, host: string) => {
      const at = { redirect_uri: `https://${host}/cb` };
      const asked = standard.address(client, at);
      const begun = await surfer.visit(asked);
      const shown = begun.url.startsWith(at.redirect_uri) ? begun : await surfer.logIn(asked, tenant, email);
      const { body, text } = await standard.redeem(answered(shown).get("code") ?? "", client, at);
      expect(body.id_token, text).toBeTruthy();
      return body.id_token as string;
    };
    const [one, two] = [await clientAt("one.example"), await clientAt("two.example")];
    const first = await logIn(one, "one.example");
    const second = await logIn(two, "two.example");
    const sids = [claimsOf(first).sid, claimsOf(second).sid];
    expect(new Set(sids).size).toBe(2);
    expect(claimsOf(await logIn(one, "one.example")).sid, "the same session there").toBe(sids[0]);
    const sessions = latchkey.server.core.storage.read.selectFrom("sessions").select("id");
    for (const { id } of await sessions.where("user_id", "=", tenant.user.id).execute()) expect(sids).not.toContain(id);
    const query = { id_token_hint: second, post_logout_redirect_uri: "https://two.example/bye" };
    const left = await surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams(query)}`);
    expect(left.url, "the session that the ID token names").toBe("https://two.example/bye");
    const told = async (host: string) => {
      const heard = await until(`a logout at ${host}`, async () => hears.all.find(({ path }) => path === `/${host}`));
      return claimsOf(new URLSearchParams(heard.body).get("logout_token") ?? "");
    };
    expect([(await told("one.example")).sid, (await told("two.example")).sid]).toEqual(sids);
    expect((await told("one.example")).sub).toBe(claimsOf(first).sub);
    await hears.close();
  });

  it("travel with auth/redirect too", async () => {
    const { id_token, access_token: token } = await tokensFor(tenant.issuer);
    const json = { redirect_uri: CALLBACK };
    const sent_on = await call(`${tenant.base}/auth/redirect`, { method: "POST", token, json });
    expect(sent_on.status, sent_on.text).toBe(302);
    const address = new URL(sent_on.headers.get("location") ?? "");
    expect(claimsOf(address.searchParams.get("id_token") ?? "").sub).toBe(claimsOf(id_token).sub);
  });

  it("name the person to themselves, and nobody to anybody else", async () => {
    const pair = { first_party: true, subject_type: "pairwise", require_pkce: false } as const;
    const app = await addClient(latchkey, tenant.account_id, pair);
    await addGrant(latchkey, tenant.account_id, app, tenant.issuer, ["openid", "user:customers"]);
    const logIn = async () =>
      (await standard.redeem(await standard.codeFor(app, { resource: tenant.issuer }), app)).body.access_token;
    const [token, another] = [await logIn(), await logIn()];
    const { sub } = claimsOf(token);
    const user = `${tenant.base}/customers/users/${sub}`;
    const consents = async (by: string) => (await call(`${user}/consents`, { token: by })).status;
    expect([await consents(token), await consents(another), await consents(tenant.token)]).toEqual([200, 403, 404]);
    const seen = await call(user, { token });
    expect(seen.body, seen.text).toMatchObject({ id: sub, customer_id: sub });
    const renamed = await call(user, { method: "PUT", token, json: { ...seen.body, name: "Ada" } });
    expect(renamed.body, renamed.text).toMatchObject({ id: sub, customer_id: sub, name: "Ada" });
    expect((await call(user, { token: another })).status).toBe(403);
    const path = `${user}/communication/send-verification-code/email`;
    const asked = { method: "POST", token, json: { value: `${sub}@example.com` } };
    expect((await call(path, asked)).status).toBe(204);
  });
});
