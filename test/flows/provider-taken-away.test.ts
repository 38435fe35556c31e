/** A login at somebody else's provider counts at a client as long as a grant of that client names the provider, refreshed or not. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { type MadeUpProvider, openMadeUpProvider } from "../support/made-up-provider.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const ORDERS = "https://orders.example";

describeOnBothEngines("a login at a provider that was taken from its client", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let provider: MadeUpProvider;
  /** What its next ID token says. */
  let said: Readonly<Record<string, unknown>> = {};
  beforeAll(async () => {
    provider = await openMadeUpProvider(() => ({ email: "x", ...said }));
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await provider.close();
  });

  /** A client that asks the provider for an API, where it has another grant too, and by that somebody's login. */
  async function openLogin(resource?: string) {
    const { account_id, base, token } = tenant;
    const client = await addClient(latchkey, account_id, {
      ...{ first_party: true, signup: true, require_pkce: false, refresh_without_offline_access: true },
      grant_types: ["authorization_code", "refresh_token"],
    });
    await addGrant(latchkey, account_id, client, ORDERS, ["orders:read"], "any");
    const provide = async (audience: string) => {
      const oidc = { client_id: "latchkey", client_secret: "upstream-secret", authority: provider.issuer };
      const json = { client_id: client.id, audience, scope: [], type: "authorization_code", oidc };
      const granted = await call(`${base}/auth/client-grants`, { method: "POST", token, json });
      expect(granted.status, granted.text).toBe(200);
      return { takeAway: () => call(`${base}/auth/client-grants/${granted.body.id}`, { method: "DELETE", token }) };
    };
    const grant = await provide(ORDERS);
    const standard = standardClient(latchkey, tenant, client);
    const surfer = openSurfer(latchkey);
    const asks = resource === undefined ? {} : { resource };
    const page = await surfer.visit(standard.address(client, asks));
    const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const asked = answered(await surfer.visit(new URL(link, page.url).href));
    said = { sub: client.id, nonce: asked.get("nonce") };
    const query = new URLSearchParams({ code: "x", state: asked.get("state") ?? "" });
    const shown = await surfer.visit(`${asked.get("redirect_uri")}?${query}`);
    const silently = async () => answered(await surfer.visit(standard.address(client, { ...asks, prompt: "none" })));
    const redeem = (code: string | null) => standard.redeem(code ?? "");
    const refresh = (refresh_token: string) => standard.token({ grant_type: "refresh_token", refresh_token });
    const introspect = (token: string) =>
      call(`${base}/oauth/introspect`, {
        ...{ method: "POST", headers: { authorization: basic(client) } },
        form: { token },
      });
    return { code: answered(shown).get("code"), grant, provide, silently, redeem, refresh, introspect };
  }

  it.each([
    ["userinfo alone", undefined],
    ["an API where it has another grant", ORDERS],
  ])("gives nothing new, for %s", async (_for, resource) => {
    const login = await openLogin(resource);
    const first = await login.redeem(login.code);
    expect(first.body.refresh_token, first.text).toBeTruthy();
    const next = await login.refresh(first.body.refresh_token);
    expect(next.status, next.text).toBe(200);
    const { refresh_token } = next.body;
    expect((await login.introspect(refresh_token)).body.active).toBe(true);
    const code = (await login.silently()).get("code");
    expect(code).toBeTruthy();
    expect((await login.grant.takeAway()).status).toBe(200);
    expect((await login.silently()).get("error"), "in the browser").toBe("login_required");
    expect((await login.introspect(refresh_token)).body).toEqual({ active: false });
    for (const [what, ask] of [
      ["a code", () => login.redeem(code)],
      ["a refresh token", () => login.refresh(refresh_token)],
    ] as const) {
      const refused = await ask();
      expect([refused.status, refused.body.error], what).toEqual([400, "invalid_grant"]);
    }
  });

  it("goes on where another grant for the same names that provider", async () => {
    const login = await openLogin(ORDERS);
    const { body } = await login.redeem(login.code);
    await login.provide(ORDERS);
    expect((await login.grant.takeAway()).status).toBe(200);
    expect((await login.refresh(body.refresh_token)).status).toBe(200);
  });

  it("goes on by no grant for another API, though that names the provider", async () => {
    const login = await openLogin(ORDERS);
    const { body } = await login.redeem(login.code);
    const code = (await login.silently()).get("code");
    await login.provide("https://stock.example");
    expect((await login.grant.takeAway()).status).toBe(200);
    for (const refused of [await login.redeem(code), await login.refresh(body.refresh_token)])
      expect([refused.status, refused.body.error]).toEqual([400, "invalid_grant"]);
  });

  it("goes on where a version before began it, which noted no provider", async () => {
    const login = await openLogin();
    const { body } = await login.redeem(login.code);
    await latchkey.server.core.storage.write(async ({ db }) => {
      const of_before = db.updateTable("refresh_families").set({ surface: null, provider: null });
      await of_before.where("id", "=", claimsOf(body.access_token).sid).execute();
    });
    expect((await login.grant.takeAway()).status).toBe(200);
    expect((await login.refresh(body.refresh_token)).status).toBe(200);
  });
});
