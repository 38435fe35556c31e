/** What clients and people meet at the edges of the standard surface, and how they go on from there. */
import { randomUUID } from "node:crypto";
import { CompactSign, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, basic, CALLBACK, call, inbox } from "../support/latchkey.ts";
import { addPerson } from "../support/people.ts";
import { answered, openScene, pkce, type Scene, VERIFIER } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";

/** Stands for what JSON.stringify cannot write. */
const DEEP = "nested without end";
const NESTED = `${"[".repeat(5_400)}${"]".repeat(5_400)}`;

describeOnBothEngines("the standard surface in detail", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  it("leaves out what a client sends without a value", async () => {
    const empty = ["prompt", "max_age", "claims", "id_token_hint", "resource", "audience", "response_mode", "request"];
    const more = [...empty, "request_uri", "nonce", "state", "dpop_jkt", "code_challenge", "code_challenge_method"];
    for (const name of more) {
      const shown = await openSurfer(scene.latchkey).visit(scene.address(scene.own, { [name]: "" }));
      expect(shown.html, name).toContain('value="identify"');
    }
    const { latchkey, tenant } = scene;
    const shown = await openSurfer(latchkey).logIn(scene.address(scene.own, { state: "" }), tenant);
    expect(answered(shown).has("state")).toBe(false);
    const redeemed = await scene.redeem(answered(shown).get("code") ?? "", scene.own, {
      ...{ code_verifier: "", resource: "", scope: "" },
    });
    expect(redeemed.status, redeemed.text).toBe(200);
    expect((await openSurfer(latchkey).visit(`${tenant.issuer}/device`, { user_code: "" })).html).toContain("problem");
  });

  it("asks for no redirect_uri of whoever proves by PKCE that the code is theirs, and compares one that is sent", async () => {
    const redeem = async (sent: Record<string, string>, more: Record<string, string>) => {
      const code = await scene.codeFor(scene.own, sent);
      const { status, body } = await scene.token({ grant_type: "authorization_code", code, ...more });
      return [status, body.error];
    };
    expect(await redeem(pkce, { code_verifier: VERIFIER })).toEqual([200, undefined]);
    for (const [sent, more] of [
      [pkce, { code_verifier: VERIFIER, redirect_uri: `${CALLBACK}/other` }],
      [pkce, { code_verifier: VERIFIER.replace("d", "e") }],
      [pkce, {}],
      [{}, {}],
      [{}, { code_verifier: VERIFIER }],
    ] as const)
      expect(await redeem(sent, more), JSON.stringify([sent, more])).toEqual([400, "invalid_grant"]);
  });

  it("takes no JSON whose text no form could hold, neither as a value nor as a name", async () => {
    const { latchkey, tenant, own } = scene;
    const headers = { authorization: basic(own) };
    const about = { client_id: own.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    const hostile: Record<string, string>[] = [
      { state: "\ud800" },
      { state: "\udfff\ud800" },
      { login_hint: "a\ud83d" },
      { "\ude00": "x" },
      { state: "\0" },
    ];
    for (const more of hostile) {
      const said = JSON.stringify(more);
      for (const [path, json] of [
        ["oauth/logout", more],
        ["oauth/authorize", { ...about, response_type: "token", ...more }],
        ["oauth/authorize", { ...about, ...more }],
      ] as const) {
        const { status, text } = await call(`${tenant.base}/${path}`, { method: "POST", json });
        expect([status, /must not contain/.test(text)], `${path} ${said}`).toEqual([400, true]);
      }
      const pushed = await call(`${tenant.base}/oauth/par`, { method: "POST", headers, json: { ...about, ...more } });
      expect([pushed.status, pushed.body.error], said).toEqual([400, "invalid_request"]);
      const listed = { method: "POST", token: tenant.token, json: { name: "x", callbacks: [[more]] } };
      const { status, body } = await call(`${tenant.base}/auth/clients`, listed);
      expect([status, body.error.errors?.[0]?.code], said).toEqual([400, "encoding"]);
    }
    const whole = { ...about, state: "\u{1f511}", prompt: "none" };
    const raw = JSON.stringify(whole).replace("\u{1f511}", "\\ud83d\\uDD11");
    const url = `${tenant.base}/oauth/par`;
    const pushed = await call(url, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      raw,
    });
    expect(pushed.status, pushed.text).toBe(201);
    const query = new URLSearchParams({ client_id: own.client_id, request_uri: pushed.body.request_uri });
    const shown = await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${query}`);
    expect(answered(shown).get("state")).toBe("\u{1f511}");
  });

  /** A client that signs its requests, and the address that one of them, without any prompt, has. */
  async function signingClient() {
    const keys = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] };
    const { latchkey, tenant } = scene;
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, jwks }, `signs-${randomUUID()}`);
    const signed = async (claims: object) => {
      const about = { client_id: own.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
      const times = { iss: own.client_id, aud: tenant.issuer, exp: Math.floor(Date.now() / 1000) + 60 };
      // Written here, since SignJWT cannot copy what is nested without end.
      const text = JSON.stringify({ ...about, ...times, ...claims }).replace(`"${DEEP}"`, NESTED);
      const request = await new CompactSign(Buffer.from(text))
        .setProtectedHeader({ alg: "ES256", kid: "1", typ: "oauth-authz-req+jwt" })
        .sign(keys.privateKey);
      return `${tenant.issuer}/oauth/authorize?${new URLSearchParams({ client_id: own.client_id, request })}`;
    };
    const ask = async (claims: object) => openSurfer(latchkey).visit(await signed({ prompt: "none", ...claims }));
    return { own, signed, ask };
  }

  it("ignores what a signed request holds beside parameters, whatever it is, and reads its claims as an object", async () => {
    const { own, signed, ask } = await signingClient();
    const unknown = {
      vot: ["P1"],
      tree: { a: { b: null } },
      nul: "\0",
      half: "\ud800",
      long: "x".repeat(2_049),
      no: null,
    };
    const shown = await ask({ ...unknown, state: "s" });
    expect([answered(shown).get("error"), answered(shown).get("state")]).toEqual(["login_required", "s"]);
    const claims = { id_token: { email: { essential: true }, other: { values: [1] } }, more: [] };
    for (const said of [claims, JSON.stringify(claims)]) {
      const done = await openSurfer(scene.latchkey).logIn(
        await signed({ claims: said, ...unknown }),
        scene.tenant,
        await scene.someone(),
      );
      const { body } = await scene.redeem(answered(done).get("code") ?? "", own);
      expect(claimsOf(body.id_token).email, body.error_description).toMatch(/@/);
    }
  });

  it("reads what a signed request holds as it reads a query: what is empty is not there, and an API may repeat", async () => {
    const { own, ask } = await signingClient();
    const told = async (claims: object) => {
      const answer = answered(await ask(claims));
      return [answer.get("error"), answer.get("state")];
    };
    for (const name of ["max_age", "response_mode", "id_token_hint", "claims", "code_challenge", "resource", "state"])
      expect(await told({ [name]: "" }), name).toEqual(["login_required", null]);
    const [one, other] = ["https://one.example", "https://other.example"];
    for (const resource of [[one, other], [one, one], one])
      expect(await told({ resource, state: "s" }), JSON.stringify(resource)).toEqual(["invalid_target", "s"]);
    const { issuer } = scene.tenant;
    expect(await told({ resource: Array(2).fill(`${issuer}/oauth/userinfo`) })).toEqual(["login_required", null]);
    const root = "https://root.example";
    await addGrant(scene.latchkey, scene.tenant.account_id, own, root, ["a:b"]);
    expect(await told({ resource: [`${root}/`, root] })).toEqual(["login_required", null]);
    expect((await told({ resource: [`${root}/`, root, `${root}//`] }))[0]).toBe("invalid_target");
    for (const resource of [[], [[one]]]) expect((await ask({ resource })).status).toBe(400);
  });

  it("refuses a signed request whose parameters are other than text, or claims nested without end", async () => {
    const { ask } = await signingClient();
    for (const claims of [{ state: {} }, { scope: ["openid"] }, { nonce: null }, { claims: DEEP }]) {
      const shown = await ask(claims);
      const said = JSON.stringify(Object.keys(claims));
      expect([shown.status, shown.html.includes("The request object is not valid")], said).toEqual([400, true]);
    }
  });

  it("tells nobody what a token is worth who has only a name", async () => {
    const { latchkey, tenant } = scene;
    const own = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      resource_for: [tenant.audience],
    });
    const done = await openSurfer(latchkey).logIn(
      scene.address(own, { ...pkce, scope: "openid offline_access" }),
      tenant,
      await scene.someone(),
    );
    const form = { grant_type: "authorization_code", code: answered(done).get("code") ?? "", redirect_uri: CALLBACK };
    const redeemed = await scene.token({ ...form, client_id: own.client_id, code_verifier: VERIFIER }, null);
    expect(redeemed.status, redeemed.text).toBe(200);
    const ask = (path: string, token: string) =>
      call(`${tenant.base}/oauth/${path}`, { method: "POST", form: { client_id: own.client_id, token } });
    for (const token of [redeemed.body.access_token, redeemed.body.refresh_token, "x"]) {
      const { status, body } = await ask("introspect", token);
      expect([status, body.error, body.active]).toEqual([401, "invalid_client", undefined]);
    }
    expect((await ask("revoke", redeemed.body.refresh_token)).status).toBe(200);
    const { body } = await call(`${tenant.base}/.well-known/openid-configuration`);
    const methods = (of: string) => body[`${of}_endpoint_auth_methods_supported`].includes("none");
    expect([methods("introspection"), methods("revocation"), methods("token")]).toEqual([false, true, true]);
  });

  it("takes a signed request of a client that names itself by its uuid", async () => {
    const { own, ask } = await signingClient();
    for (const named of [{ iss: own.id }, { client_id: own.id }, { iss: own.id, client_id: own.id }])
      expect(answered(await ask(named)).get("error"), JSON.stringify(named)).toBe("login_required");
    for (const other of [scene.own.id, scene.own.client_id])
      expect((await ask({ iss: own.id, client_id: other })).status).toBe(400);
  });

  it("refuses a signed request whose text no form could hold", async () => {
    const { ask } = await signingClient();
    for (const claims of [{ state: "\ud800" }, { login_hint: "a\u0000" }, { state: "x".repeat(2_049) }]) {
      const shown = await ask(claims);
      expect(shown.status, JSON.stringify(claims).slice(0, 40)).toBe(400);
      expect(shown.html).toContain("The request object is not valid");
    }
    expect(answered(await ask({ state: "\u{1f511}" })).get("state")).toBe("\u{1f511}");
  });

  it("refuses a signed request that is another JWT, another's, for elsewhere, without end or around another, and says which", async () => {
    const keys = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] };
    const { latchkey, tenant, own: other } = scene;
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, jwks });
    const now = Math.floor(Date.now() / 1000);
    const sign = (client_id: string, claims: object, typ: string) => {
      const asked = { redirect_uri: CALLBACK, response_type: "code", scope: "openid", prompt: "none" };
      const about = { iss: client_id, aud: tenant.issuer, exp: now + 60, client_id, ...asked };
      return new SignJWT({ ...about, ...claims })
        .setProtectedHeader({ alg: "ES256", kid: "1", typ })
        .sign(keys.privateKey);
    };
    const ask = async (claims: object, typ = "oauth-authz-req+jwt", client = own) => {
      const request = await sign(client.client_id, claims, typ);
      const query = new URLSearchParams({ client_id: client.client_id, request });
      const shown = await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${query}`);
      const headers = { authorization: basic(client) };
      return { shown, pushed: await call(`${tenant.base}/oauth/par`, { method: "POST", headers, form: { request } }) };
    };
    const its_claims = "its signature or claims";
    const refused: [words: string, claims: object, typ?: string | undefined, client?: typeof own][] = [
      ["it has a sub", { sub: own.client_id, jti: randomUUID() }, "JWT"],
      ["it is another kind of JWT", {}, "at+jwt"],
      ["it is another kind of JWT", {}, "dpop+jwt"],
      ["it holds another request", { request: "e30.e30." }],
      ["it holds another request", { request_uri: "https://shop.example/request" }],
      ["it is another client's", { client_id: other.client_id }],
      [its_claims, { iss: other.client_id }],
      [its_claims, { aud: "https://elsewhere.example" }],
      [its_claims, { aud: `${tenant.issuer}/oauth/token` }],
      [its_claims, { aud: undefined }],
      [its_claims, { exp: undefined }],
      [its_claims, { exp: now - 120 }],
      ["the client has registered no keys", {}, undefined, other],
    ];
    const said: unknown[] = [];
    const expected: unknown[] = [];
    for (const [words, claims, typ, client] of refused) {
      const { shown, pushed } = await ask(claims, typ, client);
      const message = `The request object is not valid: ${words}.`;
      const page = [shown.status, shown.html.replaceAll("&#39;", "'").includes(message)];
      said.push([claims, typ, page, [pushed.status, pushed.body.error, pushed.body.error_description]]);
      expected.push([claims, typ, [400, true], [400, "invalid_request_object", message]]);
    }
    expect(said).toEqual(expected);
    for (const typ of ["JWT", "jwt", "oauth-authz-req+jwt", "application/oauth-authz-req+jwt"]) {
      const { shown, pushed } = await ask({}, typ);
      expect([answered(shown).get("error"), pushed.status], typ).toEqual(["login_required", 201]);
    }
  });

  it("leaves out of a login what no API here knows, and asks for the API of what one does", async () => {
    const { latchkey, tenant } = scene;
    const own = await addClient(latchkey, tenant.account_id, { first_party: true });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["admin:customers"]);
    const code = await scene.codeFor(own, { scope: "openid profile email groups" });
    const { body, text } = await scene.redeem(code, own);
    expect(body.scope, text).toBe("openid profile email");
    expect(claimsOf(body.access_token).scope).toBe("openid profile email");
    const refused = async (more: Record<string, string>) =>
      answered(await openSurfer(latchkey).visit(scene.address(own, { ...pkce, ...more }))).get("error");
    for (const scope of ["groups", "openid orders:read", "openid groups orders:read", "openid read:customers"])
      expect(await refused({ scope }), scope).toBe("invalid_scope");
    expect(await refused({ scope: "openid groups", resource: tenant.audience })).toBe("invalid_scope");
    const unknown = (count: number) => ["openid", ...Array.from({ length: count }, (_, n) => `groups:${n}`)].join(" ");
    expect(await refused({ scope: unknown(200) }), "as many as a grant may have").toBeNull();
    expect(await refused({ scope: unknown(201) }), "more than any grant has").toBe("invalid_scope");
  });

  it("logs out by an ID token whose client is named in either way", async () => {
    const { latchkey, tenant } = scene;
    const bye = "https://shop.example/bye";
    const settings = { first_party: true, post_logout_redirect_uris: [bye] };
    const own = await addClient(latchkey, tenant.account_id, settings, "shop-of-many-names");
    const other = await addClient(latchkey, tenant.account_id, settings);
    const leave = async (client_id: string) => {
      const surfer = openSurfer(latchkey);
      const shown = await surfer.logIn(scene.address(own), tenant, await scene.someone());
      const { body } = await scene.redeem(answered(shown).get("code") ?? "", own);
      const query = { id_token_hint: body.id_token, client_id, post_logout_redirect_uri: bye };
      return surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams(query)}`);
    };
    for (const name of [own.client_id, own.id]) expect((await leave(name)).url, name).toBe(bye);
    expect((await leave(other.id)).status).toBe(400);
  });

  it("tells the client when somebody else logs in than whom it asked for", async () => {
    const { latchkey, tenant } = scene;
    const asked = await scene.someone();
    const first = await openSurfer(latchkey).logIn(scene.address(), tenant, asked);
    const { body } = await scene.redeem(answered(first).get("code") ?? "");
    const url = scene.address(scene.own, { id_token_hint: body.id_token });
    const other = await openSurfer(latchkey).logIn(url, tenant, await scene.someone());
    expect(answered(other).get("error"), other.url).toBe("login_required");
    expect(answered(await openSurfer(latchkey).logIn(url, tenant, asked)).get("code")).toBeTruthy();
  });

  it("logs nobody in where an ID token means one person and the sub that is asked for another", async () => {
    const { latchkey, tenant } = scene;
    const surfer = openSurfer(latchkey);
    const logIn = async (browser: Surfer, who: string) => {
      const code = answered(await browser.logIn(scene.address(), tenant, who)).get("code") ?? "";
      const { id_token } = (await scene.redeem(code)).body;
      return { id_token_hint: String(id_token), sub: String(claimsOf(id_token).sub) };
    };
    const who = await scene.someone();
    const [one, other] = [await logIn(surfer, who), await logIn(openSurfer(latchkey), await scene.someone())];
    const about = ({ sub }: typeof one) => ({
      ...{ id_token_hint: one.id_token_hint, claims: JSON.stringify({ id_token: { sub: { value: sub } } }) },
    });
    const silently = async (more: Readonly<Record<string, string>>) =>
      answered(await surfer.visit(scene.address(scene.own, { ...more, prompt: "none" })));
    expect((await silently(about(one))).get("code")).toBeTruthy();
    const refused = await silently(about(other));
    expect([refused.get("error"), refused.has("code")]).toEqual(["login_required", false]);
    const shown = await surfer.visit(scene.address(scene.own, about(other)));
    expect(shown.html, "whoever is logged in is not both").toContain('value="identify"');
    const again = await openSurfer(latchkey).logIn(scene.address(scene.own, about(other)), tenant, who);
    expect(answered(again).get("error")).toBe("login_required");
  });

  it("remembers what people agreed to at a client that registered itself and that the account calls its own", async () => {
    const { latchkey, tenant } = scene;
    const json = { redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" };
    const at = { method: "POST", json, token: tenant.token };
    const { client_id } = (await call(`${tenant.base}/oauth/register`, at)).body;
    const change = { method: "PATCH", json: { first_party: true }, token: tenant.token };
    expect((await call(`${tenant.base}/auth/clients/${client_id}`, change)).status).toBe(200);
    const surfer = openSurfer(latchkey);
    const url = scene.address({ client_id }, pkce);
    expect(answered(await surfer.logIn(url, tenant, await scene.someone())).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(url)).get("code")).toBeTruthy();
  });

  it("begins anew, in the same login, when the second factor comes too late", async () => {
    const { latchkey, tenant } = scene;
    const { email, phone_number } = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const surfer = openSurfer(latchkey);
    const newest = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";
    const begin = async (page: Awaited<ReturnType<typeof surfer.visit>>) => {
      const waiting = await surfer.act(page, "identify", { identifier: email });
      return surfer.act(waiting, "code", { code: await newest(email) });
    };
    const waiting = await begin(await surfer.visit(scene.address()));
    const { storage } = latchkey.server.core;
    await storage.write(async ({ db }) => {
      const rows = await db.selectFrom("authorization_requests").select(["id", "progress"]).execute();
      const [row] = rows.filter(({ progress }) => progress.includes("mfa_token"));
      const progress = JSON.stringify({ ...JSON.parse(row?.progress ?? "{}"), mfa_token: "over" });
      await db
        .updateTable("authorization_requests")
        .set({ progress })
        .where("id", "=", row?.id ?? "")
        .execute();
    });
    const late = await surfer.act(waiting, "challenge", { channel: "sms" });
    expect(late.status).toBe(200);
    expect(late.html).toContain("has expired");
    const again = await surfer.act(await begin(late), "challenge", { channel: "sms" });
    expect(answered(await surfer.act(again, "factor", { code: await newest(phone_number) })).get("code")).toBeTruthy();
  });
});
