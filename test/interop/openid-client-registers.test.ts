/** A standard client that nobody has made yet: it registers through openid-client, and logs people in. */
import * as client from "openid-client";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  CALLBACK,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("openid-client without a client", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  /** The public address is not where this server listens. */
  const reach: client.CustomFetch = (url, options) =>
    fetch(url.replace(latchkey.config.public_url, latchkey.url), options as RequestInit);

  const register = ({ issuer }: Tenant, metadata: object, initialAccessToken?: string) =>
    client.dynamicClientRegistration(
      new URL(issuer),
      { redirect_uris: [CALLBACK], grant_types: ["authorization_code", "refresh_token"], ...metadata },
      undefined,
      {
        execute: [client.allowInsecureRequests],
        [client.customFetch]: reach,
        ...(initialAccessToken === undefined ? {} : { initialAccessToken }),
      },
    );

  async function logIn(config: client.Configuration, tenant: Tenant): Promise<void> {
    const user = await addUser(latchkey, tenant.account_id);
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: CALLBACK,
      scope: "openid",
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: "S256",
    });
    const shown = await openSurfer(latchkey).logIn(url.href, tenant, user.email);
    const tokens = await client.authorizationCodeGrant(config, new URL(shown.url), { pkceCodeVerifier });
    expect(await client.fetchUserInfo(config, tokens.access_token, user.id)).toMatchObject({ sub: user.id });
  }

  it("is told to bring an initial access token, and has a secret with one that is good for nothing else", async () => {
    const tenant = await createTenant(latchkey);
    await expect(register(tenant, {})).rejects.toMatchObject({ status: 401 });
    const registrar = await addClient(latchkey, tenant.account_id, { grant_types: ["client_credentials"] });
    await addGrant(latchkey, tenant.account_id, registrar, tenant.issuer, ["create:accounts:/oauth/register"]);
    const initial = await tokenOf(latchkey, tenant.account_id, registrar);
    const config = await register(tenant, { client_name: "Shop" }, initial);
    expect(config.clientMetadata()).toMatchObject({ client_secret: expect.any(String), client_name: "Shop" });
    await logIn(config, tenant);
  }, 60_000);

  it("registers by itself where the account lets strangers in, and has no secret", async () => {
    const tenant = await createTenant(latchkey, { settings: { open_registration: true } });
    const config = await register(tenant, { token_endpoint_auth_method: "none" });
    expect(config.clientMetadata().client_secret).toBeUndefined();
    await logIn(config, tenant);
  }, 60_000);
});
