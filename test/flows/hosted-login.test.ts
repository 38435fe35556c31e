/** What attackers try at the hosted login and the code flow: each of them gets nowhere. */
import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openSurfer, type Shown } from "../support/surfer.ts";
import { wrongGuesses } from "../support/verification.ts";

const error = (reply: Reply) => [reply.status, reply.body?.error];
const answered = (shown: Shown) => new URL(shown.url).searchParams;

describeOnBothEngines("the hosted login", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let first: TestClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    first = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: ["authorization_code", "refresh_token"],
    });
  });
  afterAll(() => latchkey.close());

  const address = (client = first, more: Record<string, string> = {}, own = tenant) => {
    const about = {
      client_id: client.client_id,
      redirect_uri: CALLBACK,
      response_type: "code",
      scope: "openid",
      state: "s",
    };
    return `${own.issuer}/oauth/authorize?${new URLSearchParams({ ...about, ...more })}`;
  };
  const someone = async () => (await addUser(latchkey, tenant.account_id)).email;
  const redeem = (code: string, client = first, more: Record<string, string> = {}, own = tenant) =>
    call(`${own.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(client) },
      form: { grant_type: "authorization_code", code, redirect_uri: CALLBACK, ...more },
    });
  const codeFor = async (client = first, more: Record<string, string> = {}) =>
    answered(await openSurfer(latchkey).logIn(address(client, more), tenant, await someone())).get("code") ?? "";

  it("sends a code that only this browser can enter, however it is stolen", async () => {
    const own = await addClient(latchkey, tenant.account_id, { first_party: true });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const email = await someone();
    const [mine, theirs] = [openSurfer(latchkey), openSurfer(latchkey)];
    const asked = { resource: tenant.audience };
    const waiting = await mine.act(await mine.visit(address(own, asked)), "identify", { identifier: email });
    const code = (await inbox(tenant, email))[0]?.verification_code ?? "";
    const other = await theirs.act(await theirs.visit(address(own, asked)), "identify", { identifier: email });
    const stolen = await theirs.act(other, "code", { code });
    expect(stolen.html).toContain("That code is wrong");
    const direct = await call(`${tenant.base}/auth/authorize`, {
      ...{ method: "POST", token: tenant.token },
      query: {
        client_id: own.client_id,
        audience: tenant.audience,
        redirect_uri: CALLBACK,
        response_type: "authenticate",
        verification_code: code,
        ident_type: "email",
        ident: email,
      },
    });
    expect([direct.status, direct.body.error.code]).toEqual([400, "invalid_verification_code"]);
    expect(answered(await mine.act(waiting, "code", { code })).get("code")).toBeTruthy();
  });

  it("closes short codes after as many wrong guesses as the account allows, and mails a longer one to whoever asks", async () => {
    const own = await createTenant(latchkey, { settings: { numeric_guess_limit: 3 } });
    const client = await addClient(latchkey, own.account_id, { first_party: true });
    const surfer = openSurfer(latchkey);
    const { email } = own.user;
    let page = await surfer.act(await surfer.visit(address(client, {}, own)), "identify", { identifier: email });
    const right = (await inbox(own, email))[0]?.verification_code ?? "";
    for (let n = 0; n < 3; n++)
      page = await surfer.act(page, "code", { code: right === "000000" ? "000001" : "000000" });
    page = await surfer.act(page, "code", { code: right });
    expect(page.html).toContain("Too many wrong codes");
    page = await surfer.act(page, "resend");
    const longer = (await inbox(own, email))[0]?.verification_code ?? "";
    expect(longer).toMatch(/^[0-9A-Z]{5}-[0-9A-Z]{5}$/);
    expect(answered(await surfer.act(page, "code", { code: longer })).get("code")).toBeTruthy();
  });

  it("compares five wrong guesses with one code, and sends another one to whoever asks", async () => {
    const own = await createTenant(latchkey);
    const client = await addClient(latchkey, own.account_id, { first_party: true });
    const surfer = openSurfer(latchkey);
    const { email } = own.user;
    let page = await surfer.act(await surfer.visit(address(client, {}, own)), "identify", { identifier: email });
    const right = (await inbox(own, email))[0]?.verification_code ?? "";
    for (const code of wrongGuesses(right, 5)) {
      page = await surfer.act(page, "code", { code });
      expect(page.html).toContain("That code is wrong");
    }
    page = await surfer.act(page, "code", { code: right });
    expect(page.html).toContain("ask for a new one");
    expect(await inbox(own, email), "nothing was sent unasked").toHaveLength(1);
    page = await surfer.act(page, "resend");
    const [newest, ...older] = await inbox(own, email);
    expect(older).toHaveLength(1);
    expect(
      answered(await surfer.act(page, "code", { code: newest?.verification_code ?? "" })).get("code"),
    ).toBeTruthy();
  });

  it("is no use to somebody who is led into a login that another began", async () => {
    const attacker = openSurfer(latchkey);
    const page = await attacker.visit(address());
    const victim = openSurfer(latchkey);
    expect((await victim.visit(page.url)).status).toBe(404);
    const regular = openSurfer(latchkey);
    await regular.logIn(address(), tenant, await someone());
    expect((await regular.visit(page.url)).status).toBe(404);
    const form = await victim.visit(page.url, { action: "identify", identifier: await someone() });
    expect(form.status).toBe(404);
    const crossed = await call(page.url.replace(latchkey.config.public_url, latchkey.url), {
      method: "POST",
      headers: {
        "sec-fetch-site": "cross-site",
        cookie: [...attacker.jar].map(([name, value]) => `${name}=${value}`).join("; "),
      },
      form: { action: "cancel" },
    });
    expect(crossed.status).toBe(403);
  });

  it("gives the browser another cookie at every login, so that a fixed one is worth nothing", async () => {
    const surfer = openSurfer(latchkey);
    await surfer.visit(address());
    const before = [...surfer.jar.values()][0];
    await surfer.logIn(address(), tenant, await someone());
    const after = [...surfer.jar.values()][0];
    expect(after).not.toBe(before);
    const fixed = openSurfer(latchkey);
    fixed.jar.set([...surfer.jar.keys()][0] ?? "", before ?? "");
    expect(answered(await fixed.visit(address(first, { prompt: "none" }))).get("error")).toBe("login_required");
  });

  it("asks for consent, which no crafted request skips, and takes no for an answer", async () => {
    const third = await addClient(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const email = await someone();
    await surfer.logIn(address(), tenant, email);
    expect(answered(await surfer.visit(address(third, { prompt: "none" }))).get("error")).toBe("consent_required");
    const asked = await surfer.visit(address(third));
    expect(asked.html).toContain('value="allow"');
    for (const action of ["choose", "code", "factor", "nonsense"]) {
      const shown = await surfer.visit(asked.url, { action, code: "x", session: "x" });
      expect(shown.url.startsWith(CALLBACK), action).toBe(false);
    }
    const denied = await surfer.act(await surfer.visit(address(third)), "deny");
    expect([answered(denied).get("error"), answered(denied).get("iss"), answered(denied).get("state")]).toEqual([
      "access_denied",
      tenant.issuer,
      "s",
    ]);
    expect(answered(await surfer.act(await surfer.visit(address(third)), "allow")).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(address(third, { prompt: "none" }))).get("code")).toBeTruthy();
    const wider = await surfer.visit(address(third, { scope: "openid email" }));
    expect(wider.html).toContain('value="allow"');
    const native = await addClient(latchkey, tenant.account_id, {
      callbacks: ["http://127.0.0.1/cb"],
      token_endpoint_auth_method: "none",
    });
    const code_challenge = createHash("sha256").update("x").digest("base64url");
    const pkce = { redirect_uri: "http://127.0.0.1:5000/cb", code_challenge, code_challenge_method: "S256" };
    await surfer.act(await surfer.visit(address(native, pkce)), "allow");
    expect((await surfer.visit(address(native, pkce))).html).toContain('value="allow"');
  });

  it("knows nobody who is logged in as another type of user", async () => {
    const staff = await addClient(latchkey, tenant.account_id, { first_party: true, user_type: "account_user" });
    const surfer = openSurfer(latchkey);
    await surfer.logIn(address(), tenant, await someone());
    expect(answered(await surfer.visit(address(first, { prompt: "none" }))).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(address(staff, { prompt: "none" }))).get("error")).toBe("login_required");
    expect((await surfer.visit(address(staff))).html).toContain('value="identify"');
  });

  it("lists what people agreed to, and ends at once what they take back", async () => {
    const third = await addClient(latchkey, tenant.account_id, {
      grant_types: ["authorization_code", "refresh_token"],
    });
    const surfer = openSurfer(latchkey);
    const user = await addUser(latchkey, tenant.account_id);
    const shown = await surfer.logIn(address(third, { scope: "openid email offline_access" }), tenant, user.email);
    const tokens = (await redeem(answered(shown).get("code") ?? "", third)).body;
    const consents = `${tenant.base}/customers/users/${user.id}/consents`;
    const listed = await call(consents, { token: tenant.token });
    expect(listed.body).toMatchObject([{ client_id: third.id, scope: ["openid", "email", "offline_access"] }]);
    const page = await surfer.visit(`${tenant.issuer}/login/consents`);
    expect(page.html).toContain("The Shop");
    const told = [...page.html.matchAll(/<li>([^<]*)<\/li>/g)].map(([, text]) => text);
    expect(told).toEqual(["know who you are", "see your e-mail address", "stay logged in while you are away"]);
    const session = /name="session" value="([^"]+)"/.exec(page.html)?.[1] ?? "";
    const empty = await surfer.visit(page.url, { client: third.id, session });
    expect(empty.html).toContain("agreed to nothing");
    expect((await call(`${tenant.base}/oauth/userinfo`, { token: tokens.access_token })).status).toBe(401);
    const form = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
    const again = await call(`${tenant.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(third) },
      form,
    });
    expect(error(again)).toEqual([400, "invalid_grant"]);
    expect((await surfer.visit(address(third))).html).toContain('value="allow"');
    expect((await call(`${consents}/${third.id}`, { method: "DELETE", token: tenant.token })).status).toBe(404);
  });

  it("logs in again for prompt=login and max_age, and somebody else for id_token_hint", async () => {
    const surfer = openSurfer(latchkey);
    const email = await someone();
    await surfer.logIn(address(), tenant, email);
    expect(answered(await surfer.visit(address())).get("code")).toBeTruthy();
    expect((await surfer.visit(address(first, { prompt: "login" }))).html).toContain('value="identify"');
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await surfer.visit(address(first, { max_age: "1" }))).html).toContain('value="identify"');
    expect(answered(await surfer.visit(address(first, { max_age: "1000" }))).get("code")).toBeTruthy();
    const other = await redeem(await codeFor());
    const hint = { id_token_hint: other.body.id_token, prompt: "none" };
    expect(answered(await surfer.visit(address(first, hint))).get("error")).toBe("login_required");
    const again = await surfer.logIn(address(first, { prompt: "login" }), tenant, email);
    expect(answered(again).get("code")).toBeTruthy();
  });

  it("redeems a code once, for its client, address and verifier alone; a second use ends what the first gave", async () => {
    const verifier = randomBytes(32).toString("base64url");
    const pkce = {
      code_challenge: createHash("sha256").update(verifier).digest("base64url"),
      code_challenge_method: "S256",
    };
    expect(error(await redeem(await codeFor(first, pkce)))).toEqual([400, "invalid_grant"]);
    expect(error(await redeem(await codeFor(first, pkce), first, { code_verifier: `${verifier}x` }))).toEqual([
      400,
      "invalid_grant",
    ]);
    expect(error(await redeem(await codeFor(), first, { code_verifier: verifier }))).toEqual([400, "invalid_grant"]);
    const second = { redirect_uri: "https://shop.example/second" };
    const both = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      callbacks: [CALLBACK, second.redirect_uri],
    });
    expect(error(await redeem(await codeFor(both), both, second))).toEqual([400, "invalid_grant"]);
    expect((await redeem(await codeFor(both, second), both, second)).status).toBe(200);
    const other = await createTenant(latchkey);
    expect(error(await redeem(await codeFor(), other.client, {}, other))).toEqual([400, "invalid_grant"]);
    const code = await codeFor(first, { scope: "openid offline_access" });
    const tokens = (await redeem(code)).body;
    const use = () => call(`${tenant.base}/oauth/userinfo`, { token: tokens.access_token });
    expect((await use()).status).toBe(200);
    expect(error(await redeem(code))).toEqual([400, "invalid_grant"]);
    expect((await use()).status).toBe(401);
    const refreshed = await call(`${tenant.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(first) },
      form: { grant_type: "refresh_token", refresh_token: tokens.refresh_token },
    });
    expect(error(refreshed)).toEqual([400, "invalid_grant"]);
    const stolen = await codeFor();
    expect(error(await redeem(stolen, tenant.client))).toEqual([400, "invalid_grant"]);
    expect(error(await redeem(stolen))).toEqual([400, "invalid_grant"]);
  });

  it("believes no request object that nobody signed, not even where to complain", async () => {
    const shown = await openSurfer(latchkey).visit(address(first, { request: "e30.e30." }));
    expect([shown.status, shown.url.startsWith(CALLBACK)]).toEqual([400, false]);
  });

  it("redirects nothing to an address that is not registered, and every answer with iss to one that is", async () => {
    const surfer = openSurfer(latchkey);
    for (const redirect_uri of [
      "https://evil.example/",
      `${CALLBACK}/`,
      `${CALLBACK}?x=1`,
      `${CALLBACK}#x`,
      "https://shop.example@evil.example/callback",
      CALLBACK.toUpperCase(),
    ]) {
      const shown = await surfer.visit(address(first, { redirect_uri }));
      expect([shown.status, shown.headers.get("location")], redirect_uri).toEqual([400, null]);
      expect(shown.headers.get("content-type")).toContain("text/html");
    }
    expect((await surfer.visit(address({ ...first, client_id: "nobody" }))).status).toBe(400);
    const wrong: [Record<string, string>, string][] = [
      [{ response_type: "none" }, "unsupported_response_type"],
      [{ scope: "admin:everything", code_challenge: "x".repeat(43), code_challenge_method: "S256" }, "invalid_scope"],
      [{ resource: "https://nobody.example" }, "invalid_target"],
      [{ code_challenge: "x", code_challenge_method: "plain" }, "invalid_request"],
      [{ prompt: "none login" }, "invalid_request"],
      [{ max_age: "-1" }, "invalid_request"],
      [{ id_token_hint: "x" }, "invalid_request"],
    ];
    for (const [fields, expected] of wrong) {
      const shown = await surfer.visit(address(first, fields));
      expect(
        [shown.status, answered(shown).get("error"), answered(shown).get("state"), answered(shown).get("iss")],
        JSON.stringify(fields),
      ).toEqual([303, expected, "s", tenant.issuer]);
    }
    const code = await surfer.logIn(address(), tenant, await someone());
    expect([answered(code).has("code"), answered(code).get("iss")]).toEqual([true, tenant.issuer]);
    const inFragment = new URL((await surfer.visit(address(first, { response_mode: "fragment" }))).url);
    expect(new URLSearchParams(inFragment.hash.slice(1)).get("iss")).toBe(tenant.issuer);
    for (const more of [{}, { max_age: "-1" }])
      expect((await surfer.visit(address(first, { response_mode: "form_post", ...more }))).html).toContain(
        `name="iss" value="${tenant.issuer}"`,
      );
    const foreign = await surfer.visit(
      `${tenant.issuer}/oauth/authorize?client_id=${first.client_id}&request_uri=${encodeURIComponent("https://evil.example/request")}`,
    );
    expect(foreign.status).toBe(400);
    const twice = await call(`${tenant.base}/oauth/authorize?client_id=${first.client_id}&client_id=x`);
    expect(twice.status).toBe(400);
  });

  it("refuses framing, stores nothing, and tells nobody where it was", async () => {
    const shown = await openSurfer(latchkey).visit(address());
    expect(shown.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
    expect(shown.headers.get("content-security-policy")).toContain("default-src 'none'");
    expect(shown.headers.get("x-frame-options")).toBe("DENY");
    expect(shown.headers.get("referrer-policy")).toBe("no-referrer");
    expect(shown.headers.get("cache-control")).toBe("no-store");
    expect(shown.headers.get("access-control-allow-origin")).toBeNull();
    const error = await openSurfer(latchkey).visit(address(first, { redirect_uri: "https://evil.example/" }));
    expect(error.headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
  });

  it("leaves open where forms end that lead to a client, and keeps all others here", async () => {
    const policyOf = async (url: string) =>
      (await openSurfer(latchkey).visit(url)).headers.get("content-security-policy");
    expect(await policyOf(address())).toMatch(
      /^default-src 'none'; style-src 'nonce-[^']+'; script-src 'sha256-[^']+'; frame-ancestors 'none'; base-uri 'none'$/,
    );
    const pages = ["device", "login/consents", "sandbox", "oauth/authorize?client_id=nobody", "oauth/logout"];
    for (const page of pages)
      expect(await policyOf(`${tenant.issuer}/${page}`), page).toContain("; form-action 'self'; ");
  });

  it("answers unknown people like known ones, and limits what one source may ask", async () => {
    const pages = [];
    for (const identifier of [await someone(), "nobody@example.com"]) {
      const surfer = openSurfer(latchkey);
      const page = await surfer.act(await surfer.visit(address()), "identify", { identifier });
      pages.push(
        page.html
          .replaceAll(identifier, "X")
          .replace(/request=[\w-]+/g, "")
          .replace(/nonce="[^"]+"/g, ""),
      );
    }
    expect(pages[0]).toBe(pages[1]);
    const email = await someone();
    let last = "";
    for (let n = 0; n < 6; n++) {
      const surfer = openSurfer(latchkey);
      last = (await surfer.act(await surfer.visit(address()), "identify", { identifier: email })).html;
    }
    expect(last).toContain("Too many requests");
  });
});
