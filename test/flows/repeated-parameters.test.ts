/** Parameters that come twice: those that are known are refused, where the client hears of it; no others count. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, basic, CALLBACK, call, type TestClient } from "../support/latchkey.ts";
import { openScene, pkce, type Scene } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const OTHER = "https://other.example";
const UNKNOWN = "utm_source=a&utm_source=b&x-client-sku=1&x-client-sku=1";

const encoded = (fields: Readonly<Record<string, string>>) => new URLSearchParams(fields).toString();

describeOnBothEngines("a parameter that comes twice", (engine) => {
  let scene: Scene;
  let own: TestClient;
  let about: Record<string, string>;
  beforeAll(async () => {
    scene = await openScene(engine);
    const { latchkey, tenant } = scene;
    const grant_types = ["authorization_code", "client_credentials", DEVICE] as const;
    own = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [...grant_types] });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    await addGrant(latchkey, tenant.account_id, own, OTHER, ["orders:read"]);
    const { client_id } = own;
    about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid", state: "s", ...pkce };
  });
  afterAll(() => scene.close());

  const post = (
    path: string,
    raw: string,
    headers: Readonly<Record<string, string>> = { authorization: basic(own) },
  ) => {
    const type = { "content-type": "application/x-www-form-urlencoded" };
    return call(`${scene.tenant.base}/oauth/${path}`, { method: "POST", headers: { ...type, ...headers }, raw });
  };
  const ask = (query: string) =>
    call(`${scene.tenant.base}/oauth/authorize?${query}`, { headers: { accept: "application/json" } });
  /** What a client is told at its callback; nothing where it is told nothing. */
  const told = ({ headers }: { readonly headers: Headers }) => {
    const location = headers.get("location");
    if (location === null || !location.startsWith(CALLBACK)) return undefined;
    const { searchParams, hash } = new URL(location);
    const answer = hash === "" ? searchParams : new URLSearchParams(hash.slice(1));
    return [answer.get("error"), answer.get("state")];
  };
  const credentials = () => ({ grant_type: "client_credentials", resource: scene.tenant.audience });

  it("and one that is no text are refused", async () => {
    for (const more of [{ response_type: {} }, { ui_locales: [] }, { response_type: [[]], scope: {} }]) {
      const json = { ...about, ...more };
      const reply = await call(`${scene.tenant.base}/oauth/authorize`, { method: "POST", json });
      expect([reply.status, reply.body.error], JSON.stringify(more)).toEqual([400, "invalid_request"]);
    }
  });

  it("is ignored where nobody here knows it, however often it comes", async () => {
    const { tenant, latchkey } = scene;
    const shown = await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${encoded(about)}&${UNKNOWN}`);
    expect([shown.status, shown.html.includes('value="identify"')]).toEqual([200, true]);
    expect((await post("authorize", `${encoded(about)}&${UNKNOWN}`, {})).status).toBe(303);
    const often = `${"x=1&".repeat(100)}${UNKNOWN}`;
    expect((await post("token", `${often}&${encoded(credentials())}`)).status).toBe(200);
    expect((await post("par", `${UNKNOWN}&${encoded(about)}`)).status).toBe(201);
    expect((await post("device_authorization", `${UNKNOWN}&scope=openid`)).status).toBe(200);
    expect((await post("introspect", `${UNKNOWN}&token=x`)).body).toEqual({ active: false });
    expect((await call(`${tenant.base}/oauth/logout?${UNKNOWN}`)).status).toBe(200);
    const hidden = await post("token", `${often}&${encoded(credentials())}&scope=a&scope=b`);
    expect([hidden.status, hidden.body.error], "behind many of them").toEqual([400, "invalid_request"]);
  });

  it("is none where all but one are empty, and one that nobody knows is ignored however it is written", async () => {
    const { audience } = scene.tenant;
    const empty = "scope=&prompt=&resource=&audience=";
    const broken = "utm=100%&utm=%ff&caf%e9=1&%=x&a%00=1";
    const query = `${empty}&${broken}&${encoded({ ...about, resource: audience })}&${empty}`;
    expect((await ask(query)).headers.get("location")).toContain("/login?request=");
    const said = encoded({ grant_type: "client_credentials", audience, scope: "orders:read" });
    const given = await post("token", `${empty}&${said}&${empty}&${broken}`);
    expect([given.status, given.body.scope], given.text).toEqual([200, "orders:read"]);
    for (const one of ["utm=%&", "%=x&"]) {
      const many = await post("token", `${one.repeat(50)}&${said}`);
      expect([many.status, many.body.error], "nothing is read behind so many").toEqual([400, "invalid_request"]);
    }
    const badly = await ask(`${encoded(about)}&nonce=%`);
    expect(badly.headers.get("location") ?? badly.body.error).toContain("invalid_request");
  });

  it("is refused where it is known, with the same value too", async () => {
    const known: [string, string][] = [
      ["token", `${encoded(credentials())}&grant_type=client_credentials`],
      ["token", `${encoded(credentials())}&scope=orders:read&scope=orders:read`],
      ["token", "grant_type=authorization_code&code=a&code=a"],
      ["token", "grant_type=refresh_token&refresh_token=a&refresh_token=b"],
      ["token", `${encoded(credentials())}&client_secret=a&client_secret=b`],
      ["par", `${encoded(about)}&code_challenge=${"a".repeat(43)}`],
      ["par", `${encoded(about)}&redirect_uri=${encodeURIComponent(CALLBACK)}`],
      ["device_authorization", "scope=openid&scope=openid"],
      ["introspect", "token=a&token=a"],
      ["revoke", "token=a&token=b"],
    ];
    for (const [path, body] of known) {
      const reply = await post(path, body);
      expect([reply.status, reply.body.error], `${path} ${body}`).toEqual([400, "invalid_request"]);
      expect(reply.body.error_description, body).toMatch(/^\w+ must not be repeated\.$/);
    }
    const twice = await post("userinfo", "access_token=a&access_token=b", {});
    expect([twice.status, twice.body.error]).toEqual([400, "invalid_request"]);
  });

  it.each(["resource", "audience"])(
    "is no fault where one API is named twice as %s, and invalid_target where two are",
    async (name) => {
      const { tenant } = scene;
      const again = `${encoded({ [name]: tenant.audience })}&${encoded({ [name]: tenant.audience })}`;
      const two = `${again}&${encoded({ [name]: OTHER })}`;
      const scoped = encoded({ ...about, scope: "openid orders:read" });
      expect((await post("token", `grant_type=client_credentials&${again}`)).status).toBe(200);
      expect((await post("par", `${scoped}&${again}`)).status).toBe(201);
      expect((await post("device_authorization", `scope=orders:read&${again}`)).status).toBe(200);
      expect((await ask(`${scoped}&prompt=none&${again}`)).headers.get("location")).toContain("error=login_required");
      const wrong: [string, string][] = [
        ["token", `grant_type=client_credentials&${two}`],
        ["par", `${scoped}&${two}`],
        ["device_authorization", `scope=orders:read&${two}`],
      ];
      for (const [path, body] of wrong) {
        const reply = await post(path, body);
        expect([reply.status, reply.body.error], path).toEqual([400, "invalid_target"]);
        expect(reply.body.error_description).toContain(name);
      }
      expect(told(await ask(`${scoped}&${two}`))).toEqual(["invalid_target", "s"]);
      expect(told(await post("authorize", `${scoped}&${two}`, {}))).toEqual(["invalid_target", "s"]);
      expect(told(await ask(`${scoped}&${two}&nonce=a&nonce=a`)), "and another").toEqual(["invalid_request", "s"]);
    },
  );

  it("is told the client where it is known whose request it is, as is one that is too long (RFC 6749 §4.1.2.1)", async () => {
    const faulty = {
      repeated: "nonce=a&nonce=a",
      "too long": `nonce=${"n".repeat(2_049)}`,
      "another too long": `ui_locales=${"n".repeat(2_049)}`,
      "not text": "nonce=%ff",
      both: `nonce=a&nonce=b&ui_locales=${"n".repeat(2_049)}`,
    };
    for (const [what, fault] of Object.entries(faulty)) {
      const query = `${encoded(about)}&${fault}`;
      expect(told(await ask(query)), what).toEqual(["invalid_request", "s"]);
      expect(told(await post("authorize", query, {})), what).toEqual(["invalid_request", "s"]);
      const fragment = await ask(`${query}&response_mode=fragment`);
      expect([told(fragment), fragment.headers.get("location")?.includes("#error=")], what).toEqual([
        ["invalid_request", "s"],
        true,
      ]);
    }
    const pushed = (await post("par", encoded(about))).body.request_uri;
    const leading = {
      client_id: `client_id=${own.client_id}`,
      redirect_uri: encoded({ redirect_uri: CALLBACK }),
      state: "state=t",
      response_mode: "response_mode=query&response_mode=fragment",
      "a long state": `state=${"s".repeat(2_049)}`,
      "a pushed request": `${encoded({ request_uri: pushed })}&nonce=a&nonce=a`,
    };
    for (const [what, fault] of Object.entries(leading)) {
      const reply = await ask(`${encoded(about)}&${fault}`);
      expect([reply.status, reply.headers.get("location"), reply.body.error], what).toEqual([
        ...[400, null, "invalid_request"],
      ]);
    }
    const once = encoded({ client_id: own.client_id, request_uri: pushed });
    expect((await ask(once)).headers.get("location"), "it was not spent").toContain("/login?request=");
    const nobody = await ask(`${encoded({ ...about, redirect_uri: "https://evil.example/" })}&nonce=a&nonce=a`);
    expect([nobody.status, nobody.headers.get("location")]).toEqual([400, null]);
  });
});
