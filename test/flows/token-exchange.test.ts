/**
 * Token exchange (RFC 8693): a token that was sent to a client, for one that it may use further on, and never for more
 * than that.
 */
import { calculateJwkThumbprint } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { openKey, type ProofKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, basic, call, type Reply, type TestClient } from "../support/latchkey.ts";
import { answered, openScene, type Scene } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const STOCK = "https://stock.example";

const said = ({ status, body }: Reply) => [status, body.error, body.error_description];

describeOnBothEngines("a token exchange", (engine) => {
  let scene: Scene;
  let own: TestClient;
  beforeAll(async () => {
    scene = await openScene(engine);
    const { latchkey, tenant } = scene;
    const grant_types = ["authorization_code", "client_credentials", EXCHANGE] as const;
    own = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [...grant_types] });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read", "orders:write"]);
    await addGrant(latchkey, tenant.account_id, own, STOCK, ["orders:read"], "client_credentials");
  });
  afterAll(() => scene.close());

  /** A token of somebody new. */
  const logIn = async (): Promise<string> => {
    const asked = { resource: scene.tenant.audience, scope: "openid orders:read" };
    return (await scene.redeem(await scene.codeFor(own, asked), own)).body.access_token;
  };
  const exchange = (subject_token: string, more: Record<string, string> = {}) => {
    const about = { subject_token, subject_token_type: ACCESS_TOKEN, audience: STOCK };
    return scene.token({ grant_type: EXCHANGE, ...about, ...more }, own);
  };

  it("leads no person to the account API, by none of its names, whatever the client may do there itself", async () => {
    const { latchkey, tenant } = scene;
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["orders:read"], "client_credentials");
    const token = await logIn();
    for (const audience of [tenant.issuer, `https://api.dintero.com/v1/accounts/${tenant.account_id}`]) {
      const itself = await scene.token({ grant_type: "client_credentials", audience }, own);
      expect([itself.status, itself.body.scope], audience).toEqual([200, "orders:read"]);
      expect(said(await exchange(token, { audience })), audience).toEqual([
        ...[400, "invalid_target", "The account API is no target of an exchange."],
      ]);
    }
    expect((await exchange(token)).status).toBe(200);
  });

  it("gives nothing that outlives what was exchanged, also where tokens live longer by now", async () => {
    const { tenant } = scene;
    const set = async (access_token_lifetime: number) => {
      const changed = { method: "PATCH", token: tenant.token, json: { access_token_lifetime } };
      expect((await call(`${tenant.base}/auth/settings`, changed)).status).toBe(200);
    };
    await set(60);
    const token = await logIn();
    await set(86_400);
    const fresh = (await scene.token({ grant_type: "client_credentials", audience: STOCK }, own)).body;
    expect(fresh.expires_in).toBe(86_400);
    const once = (await exchange(token)).body;
    const again = (await exchange(once.access_token)).body;
    for (const { access_token, expires_in } of [once, again]) {
      expect(claimsOf(access_token).exp).toBeLessThanOrEqual(claimsOf(token).exp);
      expect(expires_in).toBeLessThanOrEqual(60);
    }
    await set(14_400);
  });

  it("takes a token that names the account API otherwise than the client that it was sent to", async () => {
    const { latchkey, tenant } = scene;
    const alias = `https://api.dintero.com/v1/accounts/${tenant.account_id}`;
    const shop = await addClient(latchkey, tenant.account_id, { first_party: true });
    await addGrant(latchkey, tenant.account_id, shop, alias, ["user:orders"], "authorization_code");
    const { access_token } = (await scene.redeem(await scene.codeFor(shop, { resource: alias }), shop)).body;
    expect(claimsOf(access_token).aud).toBe(alias);
    const sent = async (resource_for: string) => {
      const settings = { grant_types: [EXCHANGE] as [typeof EXCHANGE], resource_for: [resource_for] };
      const service = await addClient(latchkey, tenant.account_id, settings);
      await addGrant(latchkey, tenant.account_id, service, STOCK, ["user:orders"], "client_credentials");
      const about = { subject_token: access_token, subject_token_type: ACCESS_TOKEN, audience: STOCK };
      return scene.token({ grant_type: EXCHANGE, ...about }, service);
    };
    expect((await sent("https://elsewhere.example")).body.error_description).toContain("meant for another client");
    for (const name of [
      tenant.issuer,
      `https://${tenant.account_id}@api.dintero.com/v1/accounts/${tenant.account_id}`,
    ]) {
      const { status, body, text } = await sent(name);
      expect([status, body.scope], text).toEqual([200, "user:orders"]);
    }
  });

  it("of a token that is bound to a key asks its own client for a proof, not the API that it was sent to", async () => {
    const { latchkey, tenant } = scene;
    const settings = { grant_types: [EXCHANGE] as [typeof EXCHANGE], resource_for: [tenant.audience] };
    const service = await addClient(latchkey, tenant.account_id, settings);
    await addGrant(latchkey, tenant.account_id, service, STOCK, ["orders:read"], "client_credentials");
    const [key, another] = [await openKey(tenant.issuer), await openKey(tenant.issuer)];
    let nonce: string | undefined;
    const ask = async (client: TestClient, form: Record<string, string>, by?: ProofKey) => {
      const headers = { authorization: basic(client), ...(by ? { dpop: await by.proof({ nonce }) } : {}) };
      const reply = await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form });
      nonce = reply.headers.get("dpop-nonce") ?? nonce;
      return reply;
    };
    const itself = { grant_type: "client_credentials", audience: tenant.audience };
    await ask(own, itself, key);
    const { access_token: subject_token } = (await ask(own, itself, key)).body;
    const exchanged = (client: TestClient, by?: ProofKey) =>
      ask(client, { grant_type: EXCHANGE, subject_token, subject_token_type: ACCESS_TOKEN, audience: STOCK }, by);
    for (const by of [undefined, another])
      expect(said(await exchanged(own, by))).toEqual([
        ...[400, "invalid_request", "subject_token is bound to a key: send a DPoP proof of it."],
      ]);
    for (const [client, by] of [
      [own, key],
      [service, another],
      [service, undefined],
    ] as const) {
      const { status, body, text } = await exchanged(client, by);
      expect([status, body.token_type], text).toEqual([200, by ? "DPoP" : "Bearer"]);
      expect(claimsOf(body.access_token).cnf?.jkt).toBe(by && (await calculateJwkThumbprint(by.jwk)));
    }
  });

  it("takes and gives access tokens, and says so of any other kind", async () => {
    const token = await logIn();
    for (const kind of ["id_token", "refresh_token", "jwt", "saml2"]) {
      const type = `urn:ietf:params:oauth:token-type:${kind}`;
      for (const name of ["requested_token_type", "subject_token_type"])
        expect(said(await exchange(token, { [name]: type }))).toEqual([
          ...[400, "invalid_request", `${name} must be ${ACCESS_TOKEN}.`],
        ]);
    }
    for (const actor of [{ actor_token: token, actor_token_type: ACCESS_TOKEN }, { actor_token_type: ACCESS_TOKEN }])
      expect(said(await exchange(token, actor))).toEqual([
        ...[400, "invalid_request", "actor_token is not taken: the actor is the client that exchanges."],
      ]);
    const exchanged = await exchange(token, { requested_token_type: ACCESS_TOKEN });
    expect([exchanged.status, exchanged.body.issued_token_type], exchanged.text).toEqual([200, ACCESS_TOKEN]);
  });

  it("says invalid_request of a token that is none, ended, or was meant for another (RFC 8693 §2.2.2)", async () => {
    const revoked = await logIn();
    const headers = { authorization: basic(own) };
    await call(`${scene.tenant.base}/oauth/revoke`, { method: "POST", headers, form: { token: revoked } });
    const another = (await scene.redeem(await scene.codeFor())).body.access_token;
    for (const [what, token] of Object.entries({ "no token": "a.b.c", revoked, another })) {
      const { status, body } = await exchange(token);
      expect([status, body.error], what).toEqual([400, "invalid_request"]);
    }
  });

  it("gives nothing for a person who is gone, though nobody here has heard of that", async () => {
    const token = await logIn();
    const { storage } = scene.latchkey.server.core;
    const deleted_at = new Date(storage.now()).toISOString();
    await storage.write(async ({ db }) => {
      await db.updateTable("users").set({ deleted_at }).where("id", "=", claimsOf(token).sub).execute();
    });
    const { status, body } = await exchange(token);
    expect([status, body.access_token], body.error).toEqual([400, undefined]);
  });

  it("is for the client's default API where it names none", async () => {
    const { latchkey, tenant } = scene;
    const grant_types = ["authorization_code", EXCHANGE] as const;
    const settings = { first_party: true, grant_types: [...grant_types], default_audience: STOCK };
    const client = await addClient(latchkey, tenant.account_id, settings);
    await addGrant(latchkey, tenant.account_id, client, STOCK, ["orders:read"]);
    const code = await scene.codeFor(client, { scope: "openid orders:read" });
    const { access_token } = (await scene.redeem(code, client)).body;
    const about = { grant_type: EXCHANGE, subject_token: access_token, subject_token_type: ACCESS_TOKEN };
    const { status, body, text } = await scene.token(about, client);
    expect([status, body.scope], text).toEqual([200, "orders:read"]);
    expect(claimsOf(body.access_token)).toMatchObject({ aud: STOCK, act: { sub: client.id } });
    const nameless = await exchange(await logIn(), { audience: "" });
    expect([nameless.status, nameless.body.error]).toEqual([400, "invalid_target"]);
  });

  it("is told the API that introspects it with whoever acts, and with how the person logged in", async () => {
    const { latchkey, tenant } = scene;
    const api = await addClient(latchkey, tenant.account_id, { resource_for: [STOCK] });
    const introspect = async (token: string, client: TestClient) => {
      const headers = { authorization: basic(client) };
      return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token } })).body;
    };
    const token = await logIn();
    const own_token = claimsOf(token);
    const told = await introspect(token, own);
    expect(told).toMatchObject({ active: true, jti: own_token.jti, acr: own_token.acr, amr: own_token.amr });
    expect([told.acr, told.act]).toEqual(["urn:latchkey:acr:1fa", undefined]);
    const { access_token } = (await exchange(token)).body;
    const { act, jti, acr, sub } = claimsOf(access_token);
    expect(act).toEqual({ iss: tenant.issuer, sub: own.id });
    expect(await introspect(access_token, api)).toMatchObject({ active: true, sub, act, jti, acr });
    const again = (await exchange(access_token)).body.access_token;
    expect((await introspect(again, api)).act, "with the whole chain").toEqual({ ...act, act });
  });

  it("is never refused for openid, nor narrowed by it", async () => {
    const token = await logIn();
    for (const scope of ["openid", "openid orders:read", "orders:read openid"]) {
      const { status, body, text } = await exchange(token, { scope });
      expect([status, body.scope], text).toEqual([200, "orders:read"]);
    }
    expect((await exchange(token, { scope: "openid orders:write" })).body.error).toBe("invalid_scope");
  });

  it("gives no token for nothing", async () => {
    const { latchkey, tenant } = scene;
    const other = "https://other.example";
    await addGrant(latchkey, tenant.account_id, own, other, ["orders:write"], "client_credentials");
    const token = await logIn();
    for (const scope of [{}, { scope: "openid" }, { scope: "orders:write" }]) {
      const { status, body } = await exchange(token, { audience: other, ...scope });
      expect([status, body.error], JSON.stringify(scope)).toEqual([400, "invalid_scope"]);
    }
    const bare = "https://bare.example";
    await addGrant(latchkey, tenant.account_id, own, bare, [], "client_credentials");
    expect((await exchange(token, { audience: bare })).status, "an API without scopes").toBe(200);
  });

  it("leads a third party to no API and scope that the person was not asked about there", async () => {
    const { latchkey, tenant } = scene;
    const [bought, bare] = ["https://bought.example", "https://bare.example"];
    const third = await addClient(latchkey, tenant.account_id, { grant_types: ["authorization_code", EXCHANGE] });
    for (const api of [tenant.audience, bought])
      await addGrant(latchkey, tenant.account_id, third, api, ["orders:read", "orders:write"]);
    await addGrant(latchkey, tenant.account_id, third, STOCK, ["orders:read"], "client_credentials");
    await addGrant(latchkey, tenant.account_id, third, bare, [], "client_credentials");
    const surfer = openSurfer(latchkey);
    const tokenFor = async (code: string | null) => (await scene.redeem(code ?? "", third)).body.access_token;
    const about = (subject_token: string, more: Record<string, string>) =>
      ({ grant_type: EXCHANGE, subject_token_type: ACCESS_TOKEN, subject_token, ...more }) as const;
    const at = async (subject_token: string, audience: string, scope?: string, client = third) => {
      const { body } = await scene.token(about(subject_token, { audience, ...(scope ? { scope } : {}) }), client);
      return body.error ?? body.scope;
    };
    const allow = async (resource: string, scope: string) =>
      tokenFor(answered(await surfer.act(await surfer.visit(asking(resource, scope)), "allow")).get("code"));
    const asking = (resource: string, scope: string) => scene.address(third, { resource, scope });
    const shown = await surfer.logIn(scene.address(third), tenant, tenant.user.email);
    const known = await tokenFor(answered(shown).get("code"));
    expect(await at(known, bare), "who only said who they are").toBe("invalid_target");
    const token = await allow(tenant.audience, "openid orders:read orders:write");
    for (const audience of [bought, STOCK, bare]) expect(await at(token, audience), audience).toBe("invalid_target");
    expect(await at(token, tenant.audience, "orders:read"), "the same API").toBe("orders:read");
    await allow(bought, "openid orders:read");
    expect([await at(token, bought), await at(token, bought, "orders:write")]).toEqual([
      "orders:read",
      "invalid_scope",
    ]);
    const service = await addClient(latchkey, tenant.account_id, {
      grant_types: [EXCHANGE],
      resource_for: [tenant.audience],
    });
    await addGrant(latchkey, tenant.account_id, service, STOCK, ["orders:read"], "client_credentials");
    await addGrant(latchkey, tenant.account_id, service, bare, [], "client_credentials");
    const sent = await scene.token(about(token, { audience: STOCK }), service);
    expect([sent.status, sent.body.scope], "a service that was sent it").toEqual([200, "orders:read"]);
    expect(await at(sent.body.access_token, bare, undefined, service), "and goes on with it").toBe("");
  });
});
