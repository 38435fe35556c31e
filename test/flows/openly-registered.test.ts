/** Clients that register without an initial access token are given what they may have, not refused for asking for more. */
import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lookUpClient } from "../../src/directory/clients/find-client.ts";
import { ClientChangeBody } from "../../src/directory/clients/schema.ts";
import { takeBudget } from "../../src/limits/limits.ts";
import { siteSubject } from "../../src/limits/source.ts";
import { hasAgreed, recordConsent } from "../../src/oauth/consents/consent.ts";
import { chargeNewClient } from "../../src/oauth/registration/register.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { pkce } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";
import { countSubjects } from "../support/used-up.ts";

const BACK = "https://agent.example/back";
const OTHER = "https://agent.example/other";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

describeOnBothEngines("clients that register without a token", (engine) => {
  let latchkey: Latchkey;
  let web: Receiver;
  const documents = new Map<string, object>();
  beforeAll(async () => {
    web = await openReceiver(({ path }) => [documents.has(path) ? 200 : 404, JSON.stringify(documents.get(path))]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

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

  it("are told what is wrong with what they said in the words in which they said it", async () => {
    const own = await openTenant();
    const redirect_uris = ["http://evil.example/cb", BACK, "cursor://anysphere.cursor-mcp/oauth/callback"];
    const made = (await register(own, { redirect_uris: [BACK] })).body;
    const replaced = { method: "PUT", token: made.registration_access_token, json: { redirect_uris } };
    for (const refused of [await register(own, { redirect_uris }), await call(made.registration_client_uri, replaced)])
      expect([refused.status, refused.body]).toEqual([
        400,
        {
          error: "invalid_redirect_uri",
          error_description:
            "redirect_uris.0 must be https, unless it is on a loopback address; redirect_uris.2 must be https, or a private-use scheme with a dot.",
        },
      ]);
    const both = { redirect_uris: [BACK], jwks_uri: "http://evil.example/keys" };
    expect((await register(own, both)).body).toMatchObject({ error: "invalid_client_metadata" });
  });

  it("use up nothing of their address by what is refused: what is taken is counted", async () => {
    const own = await openTenant();
    const wrong = { redirect_uris: ["http://evil.example/cb"] };
    for (let n = 0; n < 12; n++) {
      const { status, body } = await register(own, wrong);
      expect([status, body.error], `${n}`).toEqual([400, "invalid_redirect_uri"]);
    }
    const good = { redirect_uris: [BACK] };
    for (let n = 0; n < 10; n++) expect((await register(own, good)).status, `${n}`).toBe(201);
    for (const json of [good, wrong]) expect((await register(own, json)).status).toBe(json === good ? 429 : 400);
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
    expect(await countSubjects(storage, { account_id }, "client_source"), "none of whom the site refuses").toBe(3);
  });

  it("leave what the account has set as it is, whatever they or their documents say next", async () => {
    const own = await openTenant();
    const { directory } = latchkey.server.core;
    const cut = {
      name: "Nobody's bank",
      callbacks: [BACK],
      grant_types: ["authorization_code"],
      require_pushed_authorization_requests: true,
      dpop_bound_access_tokens: true,
      jwks: { keys: [] },
    };
    const cutDown = async (client_id: string) => {
      const id = (await lookUpClient(directory, own.account_id, client_id))?.id;
      const change = { method: "PATCH", token: own.token, json: cut };
      const { status, text } = await call(`${own.base}/auth/clients/${id}`, change);
      expect(status, text).toBe(200);
      return id;
    };
    const { name: client_name, callbacks: redirect_uris, ...kept } = cut;
    const said = {
      client_name: "The Bank",
      grant_types: ["authorization_code", "refresh_token"],
      dpop_bound_access_tokens: false,
    };

    const made = await register(own, { redirect_uris: [BACK, OTHER], ...said });
    await cutDown(made.body.client_id);
    const moved = { post_logout_redirect_uris: [OTHER] };
    const { registration_client_uri, registration_access_token: token } = made.body;
    const json = { redirect_uris: [BACK, OTHER], ...said, ...moved };
    const back = await call(registration_client_uri, { method: "PUT", token, json });
    expect([back.status, back.body], back.text).toMatchObject([200, { ...kept, client_name, redirect_uris, ...moved }]);

    const client_id = `${web.url}/cut.json`;
    const document = { client_id, redirect_uris: [BACK, OTHER], token_endpoint_auth_method: "none", ...said };
    documents.set("/cut.json", document);
    const about = { client_id, redirect_uri: OTHER, response_type: "code", scope: "openid", ...pkce };
    const visit = () => openSurfer(latchkey).visit(`${own.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
    expect((await visit()).status).toBe(200);
    const id = await cutDown(client_id);
    documents.set("/cut.json", { ...document, ...moved, jwks_uri: `${web.url}/keys` });
    await letPass(latchkey, "client_registrations", own.account_id, 600, ["fresh_until"]);
    expect((await visit()).status, "at its other callback").toBe(400);
    const { body } = await call(`${own.base}/auth/clients/${id}`, { token: own.token });
    expect(body, "by a document").toMatchObject({ ...cut, ...moved });
    expect(new Set(body.set_by_account), "with both places of its keys").toEqual(
      new Set([...Object.keys(cut), "jwks_uri"]),
    );
  });

  it("show what the account has changed, saved whole or not, and have it back where it is given back", async () => {
    const own = await openTenant();
    const made = (await register(own, { redirect_uris: [BACK], post_logout_redirect_uris: [OTHER] })).body;
    const id = (await lookUpClient(latchkey.server.core.directory, own.account_id, made.client_id))?.id;
    const at = (method: string, json?: object, of = id) =>
      call(`${own.base}/auth/clients/${of}`, { method, token: own.token, ...(json ? { json } : {}) });
    const read = async () => (await at("GET")).body;
    const save = async (json: object) => {
      const { status, body, text } = await at("PATCH", json);
      expect(status, text).toBe(200);
      return body.set_by_account;
    };
    const whole = async () => {
      const shown = Object.entries(await read());
      return Object.fromEntries(shown.filter(([name]) => name in ClientChangeBody.properties));
    };
    const moveTo = async (there: string) => {
      const { registration_client_uri: address, registration_access_token: token } = made;
      const { status, body, text } = await call(address, { method: "PUT", token, json: { redirect_uris: [there] } });
      expect(status, text).toBe(200);
      return body.redirect_uris[0];
    };
    expect((await read()).set_by_account).toEqual([]);
    expect(await save({ ...(await whole()), description: "ours" })).toEqual(["description"]);
    expect(await moveTo(OTHER), "callbacks that were only repeated").toBe(OTHER);
    expect(await save({ callbacks: [BACK] })).toEqual(["description", "callbacks"]);
    expect(await save(await whole()), "as it was read").toEqual(["description", "callbacks"]);
    expect(await moveTo(OTHER)).toBe(BACK);
    expect(await save({ set_by_account: ["jwks"], description: "theirs" }), "given back").toEqual([
      ...["jwks", "jwks_uri", "description"],
    ]);
    expect(await moveTo(OTHER)).toBe(OTHER);
    expect(await save({ set_by_account: ["callbacks"] }), "as it stands now").toEqual(["callbacks"]);
    expect(await moveTo(BACK)).toBe(OTHER);
    for (const [set_by_account, of] of [
      [["nothing"], id],
      [["callbacks"], own.client.id],
    ] as const)
      expect((await at("PATCH", { set_by_account }, of)).status, of).toBe(400);
    expect((await at("GET", undefined, own.client.id)).body).not.toHaveProperty("set_by_account");
  });

  it("may say what they registered with again, however the account has cut it", async () => {
    const own = await openTenant();
    const { publicKey } = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }] };
    const by_key = { token_endpoint_auth_method: "private_key_jwt" };
    const back = { redirect_uris: [BACK] };
    for (const [said, cut, shown, token] of [
      [
        { ...back, token_endpoint_auth_method: "none" },
        { ...by_key, jwks },
        { ...by_key, jwks },
      ],
      [back, { ...by_key, jwks }, { ...by_key, jwks }],
      [{ ...back, ...by_key, jwks_uri: `${web.url}/keys` }, { jwks, jwks_uri: null }, { jwks }],
      [
        { ...back, token_endpoint_auth_method: "none", grant_types: ["authorization_code", DEVICE] },
        { grant_types: ["authorization_code"] },
        { grant_types: ["authorization_code"] },
        own.token,
      ],
      [{ grant_types: [DEVICE] }, { grant_types: ["authorization_code"], callbacks: [BACK] }, back, own.token],
      [back, { response_types: ["authenticate", "code", "token"] }, { response_types: ["code"] }],
      [back, { callbacks: [] }, { redirect_uris: [] }],
      [{ ...back, ...by_key, jwks_uri: `${web.url}/keys` }, { jwks: null, jwks_uri: null }, by_key],
    ] as const) {
      const why = JSON.stringify([said, cut]);
      const url = `${own.base}/oauth/register`;
      const made = await call(url, { method: "POST", json: said, ...(token === undefined ? {} : { token }) });
      expect(made.status, made.text).toBe(201);
      const { directory } = latchkey.server.core;
      const id = (await lookUpClient(directory, own.account_id, made.body.client_id))?.id;
      const change = { method: "PATCH", token: own.token, json: cut };
      expect((await call(`${own.base}/auth/clients/${id}`, change)).status, why).toBe(200);
      const { registration_client_uri: address, registration_access_token } = made.body;
      const again = await call(address, { method: "PUT", token: registration_access_token, json: said });
      expect([again.status, again.body], why).toMatchObject([200, shown]);
    }
  });

  it("are asked about again only where it is long ago, and by much, that a person agreed to it", async () => {
    const { account_id } = await openTenant();
    const { directory } = latchkey.server.core;
    const about = { account_id, user_id: randomUUID(), client_id: randomUUID(), audience: "" };
    const agreed = [0, 1, 2].map((round) => ({
      ...{ ...about, host: "" },
      scope: Array.from({ length: 200 }, (_, index) => `round-${round}:${index}`),
    }));
    for (const agreement of agreed) await recordConsent(directory, agreement);
    const held = directory.storage.read.selectFrom("consents").select("scope").where("user_id", "=", about.user_id);
    expect(JSON.parse((await held.executeTakeFirstOrThrow()).scope)).toHaveLength(400);
    expect(await Promise.all(agreed.map((agreement) => hasAgreed(directory, agreement)))).toEqual([false, true, true]);
  });

  it("are remembered with so much of what a person agreed to, the newest, however many APIs it was for", async () => {
    const { account_id } = await openTenant();
    const { directory } = latchkey.server.core;
    const about = { account_id, user_id: randomUUID(), client_id: randomUUID(), host: "" };
    const other = { ...about, client_id: randomUUID(), audience: "urn:api:other", scope: ["other"] };
    const agreed = [0, 1, 2].map((api) => ({
      ...{ ...about, audience: `urn:api:${api}` },
      scope: Array.from({ length: 200 }, (_, index) => `api-${api}:${index}:`.padEnd(195, "x")),
    }));
    for (const agreement of [other, ...agreed]) await recordConsent(directory, agreement);
    const has = (agreement: typeof other) => hasAgreed(directory, agreement);
    expect(await Promise.all([...agreed, other].map(has))).toEqual([false, true, true, true]);
    // What is agreed to once more is the newest again.
    for (const agreement of [agreed[1], agreed[0]]) if (agreement) await recordConsent(directory, agreement);
    expect(await Promise.all(agreed.map(has))).toEqual([true, true, false]);
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
