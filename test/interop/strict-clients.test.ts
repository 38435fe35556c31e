/** What other libraries do by default, done by openid-client: they register, and prove who they are in ways of their own. */
import { exportJWK, generateKeyPair } from "jose";
import * as client from "openid-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  CALLBACK,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("libraries", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let options: client.DynamicClientRegistrationRequestOptions;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    /** The public address is not where this server listens. */
    const reach: client.CustomFetch = (url, request) =>
      fetch(url.replace(latchkey.config.public_url, latchkey.url), request as RequestInit);
    options = { execute: [client.allowInsecureRequests], [client.customFetch]: reach };
  });
  afterAll(() => latchkey.close());

  const discover = (client_id: string, auth: client.ClientAuth) =>
    client.discovery(new URL(tenant.issuer), client_id, {}, auth, options);
  async function logIn(config: client.Configuration, scope: string) {
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const code_challenge = await client.calculatePKCECodeChallenge(pkceCodeVerifier);
    const asked = { redirect_uri: CALLBACK, scope, code_challenge, code_challenge_method: "S256" };
    const shown = await openSurfer(latchkey).logIn(client.buildAuthorizationUrl(config, asked).href, tenant);
    return client.authorizationCodeGrant(config, new URL(shown.url), { pkceCodeVerifier });
  }

  it("that register themselves, as requests-oauthlib and MCP SDKs check it, get the scopes that they named and no other", async () => {
    const metadata = {
      redirect_uris: [CALLBACK],
      grant_types: ["authorization_code", "refresh_token"],
      token_endpoint_auth_method: "none",
    };
    const registering = { ...options, initialAccessToken: tenant.token };
    const config = await client.dynamicClientRegistration(new URL(tenant.issuer), metadata, client.None(), registering);
    const tokens = await logIn(config, "openid email");
    expect(tokens.scope).toBe("openid email");
    const next = await client.refreshTokenGrant(config, tokens.refresh_token ?? "");
    expect([next.scope, typeof next.refresh_token]).toEqual(["openid email", "string"]);
  });

  it("that send a public client's name by Basic, as requests-oauthlib and Go's oauth2 do, are let in", async () => {
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, token_endpoint_auth_method: "none" });
    const config = await discover(own.client_id, (_, { client_id }, __, headers) =>
      headers.set("authorization", `Basic ${Buffer.from(`${client_id}:`).toString("base64")}`),
    );
    expect((await logIn(config, "openid")).claims()?.sub).toBe(tenant.user.id);
  });

  it("that sign assertions of an hour, as authlib does, or for the very endpoint, are let in", async () => {
    const keys = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" };
    const settings = { token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [jwk] } } as const;
    const own = await addClient(latchkey, tenant.account_id, settings);
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"], "client_credentials");
    const signing = (change: (payload: Record<string, unknown>) => void) =>
      discover(
        own.client_id,
        client.PrivateKeyJwt(
          { key: keys.privateKey, kid: "1" },
          { [client.modifyAssertion]: (_, payload) => change(payload as Record<string, unknown>) },
        ),
      );
    const lasting = await signing((payload) => {
      payload.exp = Number(payload.iat) + 3_600;
    });
    const { access_token } = await client.clientCredentialsGrant(lasting, { resource: tenant.audience });
    const introspecting = await signing((payload) => {
      payload.aud = `${tenant.issuer}/oauth/introspect`;
    });
    expect(await client.tokenIntrospection(introspecting, access_token)).toMatchObject({ active: true });
    const revoking = await signing((payload) => {
      payload.aud = `${tenant.issuer}/oauth/revoke`;
    });
    await client.tokenRevocation(revoking, access_token);
    expect(await client.tokenIntrospection(introspecting, access_token)).toMatchObject({ active: false });
  });
});
