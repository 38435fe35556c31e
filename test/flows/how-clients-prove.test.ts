/** How clients prove who they are, as the libraries do that most of them use: by an empty secret, or by assertions of an hour. */
import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, basic, CALLBACK, call } from "../support/latchkey.ts";
import { openScene, pkce, type Scene, VERIFIER } from "../support/standard-client.ts";

const ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const HOUR = 3_600;

describeOnBothEngines("a client", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  const nameless = (client_id: string) => basic({ client_id, client_secret: "" });
  const post = (path: string, form: Record<string, string>, authorization?: string) =>
    call(`${scene.tenant.base}/oauth/${path}`, {
      method: "POST",
      ...(authorization === undefined ? {} : { headers: { authorization } }),
      form,
    });

  it("that is public is known by its name beside an empty secret, as by its name alone (RFC 6749 §2.3.1)", async () => {
    const { latchkey, tenant } = scene;
    const settings = { first_party: true, token_endpoint_auth_method: "none" } as const;
    const open = await addClient(latchkey, tenant.account_id, settings);
    const other = await addClient(latchkey, tenant.account_id, settings);
    const redeem = async (named: Record<string, string>, authorization?: string) => {
      const code = await scene.codeFor(open, pkce);
      const form = { grant_type: "authorization_code", code, redirect_uri: CALLBACK, code_verifier: VERIFIER };
      const { status, body } = await post("token", { ...form, ...named }, authorization);
      return [status, body.error];
    };
    const by_name = nameless(open.client_id);
    expect(await redeem({}, by_name)).toEqual([200, undefined]);
    expect(await redeem({}, nameless(open.id)), "by its uuid").toEqual([200, undefined]);
    for (const client_id of [open.client_id, open.id])
      expect(await redeem({ client_id }, by_name), "named twice").toEqual([200, undefined]);
    expect(await redeem({ client_id: other.client_id }, by_name), "two clients").toEqual([401, "invalid_client"]);
    expect(await redeem({ client_id: open.client_id, client_secret: "x" }, by_name)).toEqual([400, "invalid_request"]);
    expect(await redeem({}, basic({ ...open, client_secret: " " })), "a secret").toEqual([401, "invalid_client"]);
    expect((await post("introspect", { token: "x" }, by_name)).body).toEqual(
      (await post("introspect", { token: "x", client_id: open.client_id })).body,
    );
  });

  it("that has something to show is refused by an empty secret as one that is unknown", async () => {
    const { latchkey, tenant, own } = scene;
    const { publicKey } = await generateKeyPair("ES256");
    const jwks = { keys: [await exportJWK(publicKey)] };
    const by_key = { token_endpoint_auth_method: "private_key_jwt", jwks } as const;
    const signing = await addClient(latchkey, tenant.account_id, by_key);
    const answers = await Promise.all(
      [own, signing, { client_id: "nobody" }].map(async ({ client_id }) => {
        const refused = await post("token", { grant_type: "client_credentials" }, nameless(client_id));
        return [refused.status, refused.headers.get("www-authenticate"), refused.body];
      }),
    );
    const [first] = answers;
    expect(first?.[2]).toMatchObject({ error: "invalid_client", error_description: "Client authentication failed." });
    for (const answer of answers) expect(answer).toEqual(first);
    const challenge = await post(
      "token",
      { grant_type: "client_credentials" },
      basic({ client_id: "", client_secret: "" }),
    );
    expect(challenge.status).toBe(401);
  });

  async function signingClient() {
    const { latchkey, tenant } = scene;
    const keys = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] };
    const own = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "private_key_jwt", jwks });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const sign = (claims: object) =>
      new SignJWT({ iss: own.client_id, sub: own.client_id, aud: tenant.issuer, jti: randomUUID(), ...claims })
        .setProtectedHeader({ alg: "ES256", kid: "1" })
        .sign(keys.privateKey);
    const show = async (client_assertion: string) => {
      const form = { grant_type: "client_credentials", audience: tenant.audience };
      const { status, body } = await post("token", { ...form, client_assertion, client_assertion_type: ASSERTION });
      return [status, body.error_description];
    };
    return { own, show, ask: async (claims: object) => show(await sign(claims)), sign };
  }
  const now = () => Math.floor(scene.latchkey.server.core.directory.storage.now() / 1_000);
  const refused = [401, "Client authentication failed."];
  const TOO_LONG = [
    401,
    "client_assertion must be over within five minutes: by its exp, or five minutes after its iat.",
  ];
  const TOO_OLD = [401, "client_assertion was issued more than five minutes ago."];

  it("signs assertions of an hour, each taken once and for five minutes from its iat", async () => {
    const { ask, show, sign } = await signingClient();
    for (const lasts of [60, HOUR, 100 * HOUR]) {
      const assertion = await sign({ iat: now(), exp: now() + lasts });
      expect(await show(assertion), `${lasts}`).toEqual([200, undefined]);
      expect(await show(assertion), `${lasts}, once more`).toEqual(refused);
    }
    expect(await ask({ iat: now() - 240, exp: now() + HOUR }), "minutes old").toEqual([200, undefined]);
    for (const exp of [now() + HOUR, now() + 60])
      expect(await ask({ iat: now() - 400, exp }), "older").toEqual(TOO_OLD);
    expect(await ask({ iat: now() + HOUR, exp: now() + 2 * HOUR }), "to be issued").toEqual(TOO_LONG);
    expect(await ask({ exp: now() + 240 }), "of minutes, without").toEqual([200, undefined]);
    expect(await ask({ exp: now() + 400 }), "of more, without").toEqual(TOO_LONG);
    expect(await ask({ iat: now() - 120, exp: now() - 60 }), "over").toEqual(refused);
    expect(await ask({ iat: "now", exp: now() + 60 }), "no instant").toEqual(refused);
  });

  it("has its assertions remembered as long as one could be taken, and no longer", async () => {
    const { own, ask } = await signingClient();
    const { storage } = scene.latchkey.server.core.directory;
    const begun = now();
    const ends = [
      [{ iat: begun, exp: begun + HOUR }, begun + 300],
      [{ iat: begun - 200, exp: begun + 100 * HOUR }, begun + 100],
      [{ iat: begun - 100, exp: begun + 60 }, begun + 60],
      [{ exp: begun + 200 }, begun + 200],
    ] as const;
    for (const [claims] of ends) expect(await ask(claims)).toEqual([200, undefined]);
    const rows = await storage.read
      .selectFrom("used_tokens")
      .select("expires_at")
      .where("account_id", "=", scene.tenant.account_id)
      .where("id", "like", `assertion ${own.id} %`)
      .execute();
    const known = rows.map(({ expires_at }) => Date.parse(expires_at) / 1_000 - 30).toSorted((a, b) => a - b);
    expect(known).toEqual(ends.map(([, end]) => end).toSorted((a, b) => a - b));
  });
});
