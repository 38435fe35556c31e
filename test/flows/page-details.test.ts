/** What the pages of the hosted login make of what a client asks for and is called, and of addresses that are wrong. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { createAccount } from "../../src/directory/accounts/create-account.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { languages } from "../../src/http/languages.ts";
import { textsFor } from "../../src/pages/texts/languages.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addUser,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  newAccountId,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const headingOf = ({ html }: Shown) => /<h1>([^<]*)<\/h1>/.exec(html)?.[1];
const en = textsFor(["en"]);

describeOnBothEngines("a page of the hosted login", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    client = await addClient(latchkey, tenant.account_id, { first_party: true });
  });
  afterAll(() => latchkey.close());

  const authorize = (surfer: Surfer, more: Readonly<Record<string, string>> = {}) => {
    const { client_id } = client;
    const about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid", ...more };
    return surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
  };
  const someone = async () => (await addUser(latchkey, tenant.account_id)).email;
  const loggedIn = async (from: Readonly<Record<string, string>> = {}) => {
    const surfer = openSurfer(latchkey, from);
    await surfer.logIn((await authorize(surfer)).url, tenant, await someone());
    return surfer;
  };
  const silently = async (surfer: Surfer) => new URL((await authorize(surfer, { prompt: "none" })).url).searchParams;
  const rename = async ({ id }: TestClient, name: string) => {
    const asked = { method: "PATCH", token: tenant.token, json: { name } };
    expect((await call(`${tenant.base}/auth/clients/${id}`, asked)).status).toBe(200);
  };

  it("fills in a login_hint that can be sent, and leaves out one that is too long for its field", async () => {
    const fits = `${"a".repeat(308)}@example.com`;
    const surfer = openSurfer(latchkey);
    expect((await authorize(surfer, { login_hint: fits })).html).toContain(`value="${fits}"`);
    const asked = await authorize(surfer, { login_hint: `a${fits}` });
    const [, value = "none"] = /<input id="identifier"[^>]* value="([^"]*)"/.exec(asked.html) ?? [];
    const sent = await surfer.act(asked, "identify", { identifier: value });
    expect([value, sent.status, headingOf(sent)]).toEqual(["", 200, en.login("The Shop")]);
    const longest = await authorize(surfer, { login_hint: "a".repeat(20_000) });
    expect([longest.status, longest.url.includes("error="), longest.html.includes("aaaa")]).toEqual([
      200,
      false,
      false,
    ]);
  });

  it("asks for a logout and answers it in the language that the client asks for", async () => {
    const surfer = await loggedIn();
    const asked = await surfer.visit(`${tenant.issuer}/oauth/logout?ui_locales=de&logout_hint=ada`);
    expect(headingOf(asked)).toBe(textsFor(["de"]).sign_out);
    const hidden = [...asked.html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)];
    const kept = Object.fromEntries(hidden.map(([, name, value]) => [name, value]));
    const answered = await surfer.visit(`${tenant.issuer}/oauth/logout`, { ...kept, confirm: "yes" });
    expect(headingOf(answered)).toBe(textsFor(["de"]).signed_out);
  });

  it("lets a person say no to a logout, in their language: they stay, and nobody is sent anywhere", async () => {
    const leaving = "https://shop.example/bye";
    const { client_id } = await addClient(latchkey, tenant.account_id, { post_logout_redirect_uris: [leaving] });
    const asked = { client_id, post_logout_redirect_uri: leaving };
    for (const language of languages) {
      const texts = textsFor([language]);
      const surfer = await loggedIn({ "accept-language": language });
      const { html } = await surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams(asked)}`);
      expect(html).toContain(`<button class="other" name="confirm" value="no">${texts.stay}</button>`);
      const stayed = await surfer.visit(`${tenant.issuer}/oauth/logout`, { ...asked, confirm: "no" });
      expect([stayed.status, stayed.url, headingOf(stayed)]).toEqual([
        200,
        `${tenant.issuer}/oauth/logout`,
        texts.stayed,
      ]);
      expect((await silently(surfer)).get("code")).toBeTruthy();
    }
  });

  it("says that somebody stays to nobody whose own browser did not say so, or who is logged out by now", async () => {
    const surfer = await loggedIn();
    const foreign = openSurfer(latchkey, { "sec-fetch-site": "cross-site" });
    for (const [name, value] of surfer.jar) foreign.jar.set(name, value);
    const no = { confirm: "no" };
    expect(headingOf(await foreign.visit(`${tenant.issuer}/oauth/logout`, no))).toBe(en.sign_out);
    expect(headingOf(await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/logout`, no))).toBe(en.signed_out);
    expect((await silently(surfer)).get("code")).toBeTruthy();
    await surfer.visit(`${tenant.issuer}/oauth/logout`, { confirm: "yes" });
    expect(headingOf(await surfer.visit(`${tenant.issuer}/oauth/logout`, no)), "too late").toBe(en.signed_out);
    const idle = await loggedIn();
    await letPass(latchkey, "sessions", tenant.account_id, 2 * 86_400, ["idle_expires_at"]);
    expect(headingOf(await idle.visit(`${tenant.issuer}/oauth/logout`)), "what it led to may live on").toBe(
      en.sign_out,
    );
    expect(headingOf(await idle.visit(`${tenant.issuer}/oauth/logout`, no)), "idle for too long").toBe(en.signed_out);
  });

  it("promises a code where one goes to everybody, and says nothing of who is known", async () => {
    const open = await addClient(latchkey, tenant.account_id, { first_party: true, signup: true });
    for (const language of languages) {
      const texts = textsFor([language]);
      const says = async (client_id: string, identifier: string, more = {}) => {
        const surfer = openSurfer(latchkey, { "accept-language": language });
        return (await surfer.act(await authorize(surfer, { client_id, ...more }), "identify", { identifier })).html;
      };
      for (const who of [`nobody-yet-${language}@example.com`, await someone()]) {
        for (const more of [{}, { prompt: "create" }])
          expect(await says(open.client_id, who, more)).toContain(`<p>${texts.code_coming(who)}</p>`);
        expect(await says(client.client_id, who)).toContain(`<p>${texts.code_sent(who)}</p>`);
      }
    }
  });

  it("promises no code to a number, since an SMS does not go to every number", async () => {
    const { client_id } = await addClient(latchkey, tenant.account_id, { first_party: true, signup: true });
    const [abroad, shared] = ["+447700900123", "+4799999123"];
    for (let n = 0; n < 2; n++) await addUser(latchkey, tenant.account_id, { phone_number: shared });
    for (const identifier of [abroad, shared]) {
      const surfer = openSurfer(latchkey);
      const { html } = await surfer.act(await authorize(surfer, { client_id }), "identify", { identifier });
      expect(html).toContain(`<p>${en.code_sent(identifier)}</p>`);
      expect(await inbox(tenant, identifier)).toEqual([]);
    }
  });

  it("shows a name on one line, in the order in which it was written, and no other sentence turned around", async () => {
    const isolated = "\u2068متجر 24\u2069";
    const names = [
      ["\u202Eelgoog", "elgoog"],
      ["\u2066The\u2028 Other\n\u0007Shop\u2069", "The Other Shop"],
      ["متجر 24", isolated],
    ] as const;
    const own = await addClient(latchkey, tenant.account_id);
    for (const [name, shown] of names) {
      await rename(own, name);
      const { client_id } = own;
      const surfer = openSurfer(latchkey);
      const page = await authorize(surfer, { client_id });
      expect(headingOf(page)).toBe(en.login(shown));
      const email = await someone();
      const waiting = await surfer.act(page, "identify", { identifier: email });
      const [message] = await inbox(tenant, email);
      expect(message?.subject).toBe(`Your login code for ${shown}`);
      const asked = await surfer.act(waiting, "code", { code: message?.verification_code ?? "" });
      expect(headingOf(asked)).toBe(en.consent(shown));
      const logout = await surfer.visit(`${tenant.issuer}/oauth/logout?client_id=${client_id}`);
      expect(logout.html).toContain(`<p>${en.sign_out_intro(shown)}</p>`);
      await surfer.act(asked, "allow");
      const listed = await surfer.visit(`${tenant.issuer}/login/consents`);
      expect(listed.html).toContain(`<span id="client-0">${shown}</span>`);
    }
    await rename(own, "\u202E");
    const unnamed = await someone();
    const surfer = openSurfer(latchkey);
    const page = await authorize(surfer, { client_id: own.client_id });
    const { name } = await findAccount(latchkey.server.core.directory, tenant.account_id);
    expect(headingOf(page)).toBe(en.login(name));
    await surfer.act(page, "identify", { identifier: unnamed });
    expect((await inbox(tenant, unnamed))[0]?.subject).toBe(`Your login code for ${name}`);
  });

  it("shows an account's name on one line too", async () => {
    const account = { account_id: newAccountId(), name: "\u202EpohS", settings: {} };
    await createAccount(latchkey.server.core.directory, account, actor);
    const { html } = await openSurfer(latchkey).visit(
      `${latchkey.config.public_url}/v1/accounts/${account.account_id}/device`,
    );
    expect(html).toContain('<p class="account">pohS</p>');
    expect(html).toContain(" · pohS</title>");
  });

  it("breaks a provider's host at its dots", async () => {
    const own = await addClient(latchkey, tenant.account_id, { first_party: true });
    const oidc = { client_id: "x", client_secret: "x", authority: "https://accounts.elsewhere.example" };
    const grant = { client_id: own.id, audience: "https://o.example", scope: [], type: "authorization_code", oidc };
    await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    const { html } = await authorize(openSurfer(latchkey), { client_id: own.client_id });
    expect(html).toContain(`>${en.log_in_with("accounts.<wbr>elsewhere.<wbr>example")}</a>`);
  });

  it("is dark where the reader is, also while it posts itself", async () => {
    const shown = await authorize(openSurfer(latchkey), { prompt: "none", response_mode: "form_post" });
    expect(shown.html).toContain('<meta name="color-scheme" content="light dark">');
  });

  it("that posts itself may do so in a frame, as answers without a page are read there, and says where it is from", async () => {
    const { headers } = await authorize(openSurfer(latchkey), { prompt: "none", response_mode: "form_post" });
    const policy = headers.get("content-security-policy");
    expect([policy?.startsWith("default-src 'none'"), policy?.includes("frame-ancestors")]).toEqual([true, false]);
    expect([headers.get("x-frame-options"), headers.get("referrer-policy")]).toEqual([null, "origin"]);
  });

  it("answers a browser at a wrong address, in its language, and a program as ever", async () => {
    for (const path of ["/nothing", "/v1/accounts", `/v1/accounts/${tenant.account_id}/devices`]) {
      for (const language of languages) {
        const surfer = openSurfer(latchkey, { "accept-language": language });
        const shown = await surfer.visit(`${latchkey.url}${path}`);
        const { headers } = shown;
        expect([shown.status, headingOf(shown)], path).toEqual([404, textsFor([language]).error]);
        expect(shown.html).toContain(textsFor([language]).refused.no_such_address);
        expect(headers.get("content-security-policy")).toContain("frame-ancestors 'none'");
        expect(headers.get("access-control-allow-origin"), "no page can be read elsewhere").toBeNull();
      }
      for (const accept of ["*/*", "application/json", "application/json, */*"]) {
        const { status, body, headers } = await call(`${latchkey.url}${path}`, { headers: { accept } });
        expect([status, headers.get("access-control-allow-origin"), body]).toEqual([
          404,
          "*",
          { error: { code: "not_found", message: "There is no such address." } },
        ]);
      }
    }
  });

  it("answers no program at a wrong address, whatever kinds of answers it takes beside JSON", async () => {
    const url = `${latchkey.url}/v1/accounts/${tenant.account_id}/auth/nothing`;
    const html = "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2";
    const asked = (accept: string, more: Readonly<Record<string, string>> = {}, method = "GET") =>
      call(url, { method, headers: { accept, ...more } });
    for (const accept of ["text/html;q=0, */*", "*/*, text/html; q=0.000", "application/json, text/html;q=0.5"])
      expect(await asked(accept), accept).toMatchObject({ status: 404, body: { error: { code: "not_found" } } });
    const bearer = await asked(html, { authorization: `Bearer ${tenant.token}` });
    const sent = await asked(html, {}, "POST");
    for (const { status, body, headers } of [bearer, sent]) {
      expect([status, body?.error?.code]).toEqual([404, "not_found"]);
      expect(headers.get("access-control-allow-origin")).toBe("*");
    }
    for (const accept of [html, "text/html, application/json;q=0", "TEXT/HTML;q=0.1"]) {
      for (const method of ["GET", "HEAD"]) {
        const { status, headers } = await asked(accept, {}, method);
        expect([status, headers.get("content-type")], accept).toEqual([404, "text/html; charset=utf-8"]);
      }
    }
  });
});
