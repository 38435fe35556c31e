/** Clients whose document or keys lie elsewhere: they are told what can be had again in a moment, and what cannot. */
import { randomUUID } from "node:crypto";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver, type ReceiverAnswer } from "../support/receiver.ts";
import { answered, pkce, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const BACK = "https://agent.example/back";
const ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

describeOnBothEngines("clients whose document or keys lie elsewhere", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  const answers = new Map<string, ReceiverAnswer>();
  let time = 0;
  beforeAll(async () => {
    web = await openReceiver(({ path }) => answers.get(path) ?? [404, "{}"]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" }, monotonic: () => time });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const post = async (path: string, form: Record<string, string>) => {
    const { status, body } = await call(`${tenant.base}/oauth/${path}`, { method: "POST", form });
    return { body, outcome: [status, body.error] };
  };
  const asked = (path: string) => web.all.filter((one) => one.path === path).length;
  const unavailable = [400, "temporarily_unavailable"];
  const invalid = [401, "invalid_client"];

  const outdate = () =>
    latchkey.server.core.storage.write(
      async ({ db }) =>
        void (await db.updateTable("client_registrations").set({ fresh_until: "2020-01-01T00:00:00.000Z" }).execute()),
    );

  /** A client that signs, with keys at this path, and what it is told. */
  async function signing(path: string, host = web) {
    const settings = { token_endpoint_auth_method: "private_key_jwt", jwks_uri: `${host.url}${path}` } as const;
    const { client_id } = await addClient(latchkey, tenant.account_id, settings);
    return async (key: CryptoKey, header: { kid?: string } = {}) => {
      const jwt = new SignJWT({ jti: randomUUID() }).setProtectedHeader({ alg: "ES256", ...header });
      jwt.setIssuer(client_id).setSubject(client_id).setAudience(tenant.issuer).setExpirationTime("1m");
      const client_assertion = await jwt.sign(key);
      return post("introspect", { token: "x", client_assertion, client_assertion_type: ASSERTION });
    };
  }
  const publish = async (path: string, key: CryptoKey, more: object = {}) =>
    answers.set(path, [200, JSON.stringify({ keys: [{ ...(await exportJWK(key)), alg: "ES256", ...more }] })]);

  it("are known by a new key at once, also where keys have no kid, and forgers make no flood of questions", async () => {
    const [old, fresh, foreign] = [
      await generateKeyPair("ES256"),
      await generateKeyPair("ES256"),
      await generateKeyPair("ES256"),
    ];
    const prove = await signing("/nameless");
    await publish("/nameless", old.publicKey);
    expect((await prove(old.privateKey)).outcome).toEqual([200, undefined]);
    await publish("/nameless", fresh.publicKey);
    expect((await prove(fresh.privateKey)).outcome, "the new key").toEqual([200, undefined]);
    expect((await prove(old.privateKey)).outcome, "the old one").toEqual(invalid);
    const before = asked("/nameless");
    for (let n = 0; n < 5; n++) expect((await prove(foreign.privateKey)).outcome).toEqual(invalid);
    expect(asked("/nameless"), "within ten seconds").toBe(before);
    time += 10_000;
    for (let n = 0; n < 5; n++) expect((await prove(foreign.privateKey)).outcome).toEqual(invalid);
    expect(asked("/nameless"), "after ten seconds").toBe(before + 1);
  });

  it("are told to come again while their keys do not answer, and that they are not valid where they are none", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    for (const status of [429, 500, 503]) {
      const path = `/keys-${status}`;
      const prove = await signing(path);
      answers.set(path, [status, "{}"]);
      for (let n = 0; n < 3; n++) expect((await prove(privateKey)).outcome, path).toEqual(unavailable);
      expect(asked(path), "within two seconds").toBe(1);
      await publish(path, publicKey);
      time += 2_000;
      expect((await prove(privateKey)).outcome, path).toEqual([200, undefined]);
    }
    for (const answer of [
      [404, "{}"],
      [200, "<html>"],
      [200, `"${"x".repeat(70_000)}"`],
    ] as const) {
      const path = `/none-${answer[1].length}`;
      const prove = await signing(path);
      answers.set(path, [...answer]);
      for (let n = 0; n < 3; n++) expect((await prove(privateKey)).outcome, path).toEqual(invalid);
      expect(asked(path), "within ten seconds").toBe(1);
    }
    for (const host of ["https://no-such.invalid", "https://127.0.0.1.nip.invalid", "https://10.0.0.1"]) {
      const refused = await (await signing("/jwks", { ...web, url: host }))(privateKey);
      // Whether a name exists in the network behind is nothing that a stranger learns.
      const said = `The client's keys: ${new URL(host).host} cannot be reached.`;
      expect([refused.outcome, refused.body.error_description]).toEqual([invalid, said]);
    }
    const closed = await openReceiver();
    await closed.close();
    const refused = await (await signing("/jwks", closed))(privateKey);
    expect(refused.outcome, "no connection").toEqual(unavailable);
    expect(refused.body.error_description).not.toMatch(/ECONNREFUSED|connect/);
  });

  it("are told so wherever a browser or a pushed request asks, and people are told to try again", async () => {
    const client_id = `${web.url}/browsed.json`;
    const described: ReceiverAnswer = [200, JSON.stringify({ client_id, redirect_uris: [BACK] })];
    answers.set("/browsed.json", described);
    const about = { client_id, redirect_uri: BACK, response_type: "code", ...pkce };
    const authorizeUrl = `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
    const surfer = openSurfer(latchkey);
    const open = await surfer.visit(authorizeUrl);
    expect(open.html).toContain('value="identify"');
    const { request_uri } = (await post("par", about)).body;
    await outdate();
    answers.set("/browsed.json", [503, "{}"]);
    const pushed = `${tenant.issuer}/oauth/authorize?${new URLSearchParams({ client_id, request_uri })}`;
    for (const url of [open.url, authorizeUrl, pushed]) {
      const shown = await surfer.visit(url);
      expect(shown.status, url).toBe(400);
      expect(shown.html, url).toContain("Something went wrong. Try again.");
      expect(shown.html, url).not.toContain("not possible here");
      if (url === open.url) continue;
      const { status, body, headers } = await call(url.replace(tenant.issuer, tenant.base));
      expect([status, body.error], url).toEqual(unavailable);
      expect(headers.get("retry-after"), url).toBe("10");
    }
    const query = new URLSearchParams({ client_id });
    expect((await surfer.visit(`${tenant.issuer}/oauth/logout?${query}`)).status, "whoever logs out").toBe(200);
    time += 10_000;
    answers.set("/browsed.json", described);
    expect((await surfer.visit(open.url)).html, "the same page, later").toContain('value="identify"');
    expect((await surfer.visit(pushed)).html, "and the pushed request").toContain('value="identify"');
  });

  it("are told so of the keys of a request that they signed", async () => {
    const { publicKey, privateKey } = await generateKeyPair("ES256");
    const jwks_uri = `${web.url}/request-keys`;
    const { client_id, client_secret } = await addClient(latchkey, tenant.account_id, { jwks_uri });
    const about = { client_id, redirect_uri: CALLBACK, response_type: "code", ...pkce };
    const jwt = new SignJWT(about).setProtectedHeader({ alg: "ES256" }).setIssuer(client_id);
    const request = await jwt.setAudience(tenant.issuer).setExpirationTime("1m").sign(privateKey);
    const push = async () => (await post("par", { client_id, client_secret, request })).outcome;
    answers.set("/request-keys", [503, "{}"]);
    expect(await push()).toEqual(unavailable);
    answers.set("/request-keys", [404, "{}"]);
    time += 2_000;
    expect(await push()).toEqual([400, "invalid_request_object"]);
    await publish("/request-keys", publicKey);
    const before = asked("/request-keys");
    const query = new URLSearchParams({ client_id, request: `${request.slice(0, -6)}AAAAAA` });
    for (let n = 0; n < 5; n++)
      expect((await call(`${tenant.base}/oauth/authorize?${query}`)).body.error).toBe("invalid_request_object");
    expect(asked("/request-keys"), "for strangers within ten seconds").toBe(before);
    time += 10_000;
    expect(await push()).toEqual([201, undefined]);
  });

  it("keep their tokens while their document does not answer", async () => {
    let answer: ReceiverAnswer = [404, "{}"];
    const host = await openReceiver(() => answer);
    const client_id = `${host.url}/agent.json`;
    const grant_types = ["authorization_code", "refresh_token"];
    const described: ReceiverAnswer = [200, JSON.stringify({ client_id, redirect_uris: [BACK], grant_types })];
    answer = described;
    const about = { client_id, redirect_uri: BACK, response_type: "code", ...pkce };
    const public_client_grants = { [tenant.issuer]: ["user:customers"] };
    await changeSettings(latchkey.server.core.directory, tenant.account_id, { public_client_grants }, actor);
    const asking = { ...about, scope: "openid offline_access user:customers", resource: tenant.issuer };
    const query = new URLSearchParams(asking);
    const shown = await openSurfer(latchkey).logIn(`${tenant.issuer}/oauth/authorize?${query}`, tenant);
    const code = answered(shown).get("code") ?? "";
    const redemption = {
      grant_type: "authorization_code",
      client_id,
      redirect_uri: BACK,
      code_verifier: VERIFIER,
      code,
    };
    const { access_token, refresh_token } = (await post("token", redemption)).body;
    expect(refresh_token).toBeTruthy();
    const refreshAtApi = () => {
      const json = { grant_type: "refresh_token", refresh_token };
      return call(`${tenant.base}/auth/token`, { method: "POST", token: access_token, json });
    };
    const refresh = () => post("token", { grant_type: "refresh_token", client_id, refresh_token });
    await outdate();
    answer = [503, "{}"];
    const before = host.all.length;
    for (const ask of [refresh, () => post("revoke", { client_id, token: "x" }), () => post("par", about), refresh]) {
      expect((await ask()).outcome).toEqual(unavailable);
    }
    const { status, body, headers } = await refreshAtApi();
    expect([status, body.error.code, headers.get("retry-after")]).toEqual([400, "client_unreachable", "10"]);
    expect(host.all.length, "within ten seconds").toBe(before + 1);
    time += 10_000;
    answer = [404, "{}"];
    expect((await refresh()).outcome, "gone").toEqual(invalid);
    expect((await refreshAtApi()).body.error.code, "gone").toBe("unauthorized_client");
    time += 10_000;
    answer = described;
    expect((await refresh()).outcome, "well again").toEqual([200, undefined]);
    await host.close();
    await outdate();
    time += 10_000;
    expect((await refresh()).outcome, "no connection").toEqual(unavailable);
  });
});
