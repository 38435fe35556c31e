/** Clients that register without an initial access token are given what they may have, not refused for asking for more. */
import { exportJWK, generateKeyPair } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { takeBudget } from "../../src/limits/limits.ts";
import { siteSubject } from "../../src/limits/source.ts";
import { chargeNewClient } from "../../src/oauth/registration/register.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";

const BACK = "https://agent.example/back";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

describeOnBothEngines("clients that register without a token", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const openTenant = () => createTenant(latchkey, { settings: { open_registration: true } });
  const register = (tenant: Tenant, json: object) => call(`${tenant.base}/oauth/register`, { method: "POST", json });

  it("are given what such clients may have where they ask for what the metadata names, and are told so", async () => {
    const own = await openTenant();
    const metadata = (await call(`${own.base}/.well-known/openid-configuration`)).body;
    const asked = { redirect_uris: [BACK], grant_types: ["authorization_code", "refresh_token"] };
    for (const token_endpoint_auth_method of ["client_secret_post", "client_secret_basic"]) {
      const { status, body } = await register(own, { ...asked, token_endpoint_auth_method });
      expect(status, body.error_description).toBe(201);
      expect(body).toMatchObject({ token_endpoint_auth_method: "none", grant_types: asked.grant_types });
      expect([body.client_secret, body.client_secret_expires_at]).toEqual([undefined, undefined]);
    }
    const eager = { ...asked, grant_types: metadata.grant_types_supported, token_endpoint_auth_method: "none" };
    const { status, body } = await register(own, eager);
    expect([status, body.grant_types], body.error_description).toEqual([201, asked.grant_types]);
    const several = await register(own, { ...asked, response_types: ["code", "id_token"] });
    expect([several.status, several.body.response_types], several.text).toEqual([201, ["code"]]);
    const kept = await call(body.registration_client_uri, { token: body.registration_access_token });
    expect(kept.body).toMatchObject({ token_endpoint_auth_method: "none", grant_types: asked.grant_types });
    const { registration_client_uri: address, registration_access_token: token } = body;
    const again = { ...eager, response_types: ["code", "id_token"], token_endpoint_auth_method: "client_secret_post" };
    const said = await call(address, { method: "PUT", token, json: again });
    expect([said.status, said.body], said.text).toMatchObject([200, { ...kept.body, response_types: ["code"] }]);
    const alone = await call(address, { method: "PUT", token, json: { ...asked, grant_types: [DEVICE] } });
    expect([alone.status, alone.body.error]).toEqual([400, "invalid_client_metadata"]);
    for (const grant_types of [[DEVICE], [DEVICE, "refresh_token"], ["client_credentials"]]) {
      const refused = await register(own, { ...asked, grant_types });
      expect([refused.status, refused.body.error], grant_types.join()).toEqual([400, "invalid_client_metadata"]);
    }
  });

  it("are a hundred an hour from the networks of one IPv6 site, and take nothing of another's", async () => {
    const { account_id } = await openTenant();
    const { directory } = latchkey.server.core;
    const { storage, master_keys } = directory;
    const from = (site: number, network: number) => `2001:db8:${site}:${network.toString(16)}::1`;
    const subject = siteSubject(master_keys, account_id, from(1, 0)) ?? "";
    await takeBudget(storage, { account_id, budget: "client_site", subject, cost: 99 }, storage.now());
    await chargeNewClient(directory, account_id, from(1, 0));
    await expect(chargeNewClient(directory, account_id, from(1, 1))).rejects.toMatchObject({
      code: "too_many_requests",
    });
    for (const other of [from(2, 1), "192.0.2.1"]) await chargeNewClient(directory, account_id, other);
  });

  it("prove themselves by keys of their own where they like, which give them no device codes either", async () => {
    const own = await openTenant();
    const { publicKey } = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }] };
    const json = { redirect_uris: [BACK], token_endpoint_auth_method: "private_key_jwt", jwks };
    const { status, body } = await register(own, json);
    expect([status, body.token_endpoint_auth_method, body.client_secret], body.error_description).toEqual([
      201,
      "private_key_jwt",
      undefined,
    ]);
    const { registration_client_uri: address, registration_access_token: token } = body;
    const change = { ...json, grant_types: ["authorization_code", DEVICE] };
    const added = await call(address, { method: "PUT", token, json: change });
    expect([added.status, added.body.grant_types], added.text).toEqual([200, ["authorization_code"]]);
    const weaker = { ...json, token_endpoint_auth_method: "client_secret_post" };
    const unproven = await call(address, { method: "PUT", token, json: weaker });
    expect([unproven.status, unproven.body.error]).toEqual([400, "invalid_client_metadata"]);
    expect((await register(own, { ...json, jwks: undefined })).body.error).toBe("invalid_client_metadata");
  });
});
