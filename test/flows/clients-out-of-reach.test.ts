/** Clients whose document or keys lie elsewhere: they are told what can be had again in a moment, and what cannot. */
import { randomUUID } from "node:crypto";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { openReceiver, type Receiver, type ReceiverAnswer } from "../support/receiver.ts";

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
    const { status, body, headers } = await call(`${tenant.base}/oauth/${path}`, { method: "POST", form });
    return { body, outcome: [status, body.error], retry_after: headers.get("retry-after") };
  };
  const asked = (path: string) => web.all.filter((one) => one.path === path).length;
  const invalid = [401, "invalid_client"];

  /** A client that signs, with keys at this path; says as whom it is known: 200, or the refusal. */
  async function signing(path: string) {
    const settings = { token_endpoint_auth_method: "private_key_jwt", jwks_uri: `${web.url}${path}` } as const;
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
});
