/** What pages tell: what an address is for, whose something is, how long to wait, and what cannot be had. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { languages } from "../../src/http/languages.ts";
import { inWords } from "../../src/pages/say-problem.ts";
import { textsFor } from "../../src/pages/texts/languages.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letCodesRest } from "../support/time.ts";

const en = textsFor(["en"]);
const typedIn = ({ html }: Shown) => /<input id="identifier"[^>]* value="([^"]*)"/.exec(html)?.[1];

describeOnBothEngines("pages", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.1" } });
    tenant = await createTenant(latchkey);
    standard = standardClient(latchkey, tenant, await addClient(latchkey, tenant.account_id));
  });
  afterAll(() => latchkey.close());

  let from = 0;
  const open = (more: Readonly<Record<string, string>> = {}) => {
    from += 1;
    return openSurfer(latchkey, { "x-forwarded-for": `203.0.113.${from}`, ...more });
  };
  const begin = async (surfer: Surfer, identifier: string, more: Readonly<Record<string, string>> = {}) =>
    surfer.act(await surfer.visit(standard.address(undefined, more)), "identify", { identifier });

  it("say at the address of the server what it is for, where a person is looking", async () => {
    const home = `${latchkey.config.public_url}/`;
    for (const language of languages) {
      const texts = textsFor([language]);
      const { status, html } = await openSurfer(latchkey, { "accept-language": language }).visit(home);
      expect([status, /lang="(\w+)"/.exec(html)?.[1]]).toEqual([200, language]);
      expect(html).toContain(texts.home.intro);
    }
    const { html } = await open().visit(home);
    const links = [...html.matchAll(/<a href="([^"]*)"/g)].map(([, href = ""]) => href);
    expect(links).toEqual([`${home}docs/`, `${home}readyz`]);
    for (const link of links) expect((await open().visit(link)).status, link).toBe(200);
    expect(html, "which version a stranger learns from no probe").not.toMatch(/\d+\.\d+\.\d+/);
  });

  it("are shown at the address of the server to nobody else", async () => {
    const ask = (method: string, headers: Readonly<Record<string, string>>) =>
      fetch(`${latchkey.url}/`, { method, headers });
    const program = { accept: "text/html, application/json" };
    for (const headers of [{}, { accept: "application/json" }, program, { accept: "text/html", authorization: "x" }]) {
      const response = await ask("GET", headers);
      expect([response.status, await response.json()]).toMatchObject([404, { error: { code: "not_found" } }]);
      expect(response.headers.get("access-control-allow-origin")).toBe("*");
    }
    expect((await ask("POST", { accept: "text/html" })).status).toBe(404);
    expect((await ask("OPTIONS", {})).status).toBe(404);
  });

  it("say of an address that nothing is there, and nothing of a login", async () => {
    const nothing = await open().visit(`${latchkey.config.public_url}/favicon.png`);
    expect(nothing.html).toContain(en.refused.no_such_address);
    expect(nothing.html).not.toContain(en.refused.not_found);
    const gone = await open().visit(`${tenant.issuer}/login?request=nothing`);
    expect(gone.html).toContain(en.refused.not_found);
  });

  it.each([
    ["en", "cookies"],
    ["nb", "informasjonskapsler"],
    ["sv", "kakor"],
    ["da", "cookies"],
    ["de", "Cookies"],
  ])("name cookies where a login is not found, which is so without them as well (%s)", async (language, cookies) => {
    const surfer = open({ "accept-language": language });
    const page = await surfer.visit(standard.address());
    surfer.jar.clear();
    const { status, html } = await surfer.act(page, "identify", { identifier: "ada@example.com" });
    expect([status, html.includes(cookies)]).toEqual([404, true]);
  });

  it("name whose agreement it is, where several people are logged in", async () => {
    const surfer = open();
    const people = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    const list = () => surfer.visit(`${tenant.issuer}/login/consents`);
    for (const [index, { email }] of people.entries()) {
      await surfer.logIn(standard.address(undefined, { prompt: "login" }), tenant, email);
      if (index === 0) expect((await list()).html, "nobody else is here").not.toContain(email);
    }
    const { html } = await list();
    for (const { email } of people) {
      const id = new RegExp(`id="(person-\\d+)">${email}<`).exec(html)?.[1];
      expect(html, email).toMatch(new RegExp(`aria-labelledby="withdraw-\\d+ client-\\d+ ${id}"`));
    }
    const whose = (email: string) => html.split('<div class="who">').find((one) => one.includes(email)) ?? "";
    const hidden = [...whose(people[1]?.email ?? "").matchAll(/name="(\w+)" value="([^"]*)"/g)];
    const left = await surfer.visit(
      `${tenant.issuer}/login/consents`,
      Object.fromEntries(hidden.map(([, name, value]) => [name, value])),
    );
    const [agreed = ""] = left.html.split(en.let_in.browsers);
    expect(people.map(({ email }) => agreed.includes(email))).toEqual([true, false]);
  });

  it.each([...languages])("say how long to wait, and that a code which came can be entered (%s)", async (language) => {
    const texts = textsFor([language]);
    const surfer = open({ "accept-language": language });
    const { email } = await addUser(latchkey, tenant.account_id);
    let shown = await begin(surfer, email);
    for (let n = 0; n < 12 && !shown.html.includes(texts.problems.too_many_requests); n++) {
      await letCodesRest(latchkey, tenant.account_id, 31);
      shown = await surfer.act(shown, "resend");
    }
    const { problems } = texts;
    const [, minutes] = new RegExp(
      `${problems.too_many_requests} ${texts.try_again("(\\d+ \\w+)")} ${texts.code_still_good}`,
    ).exec(shown.html) ?? [shown.html, ""];
    expect(minutes).toMatch({ en: /^\d+ minutes?$/, nb: /minutt/, sv: /minut/, da: /minut/, de: /Minute/ }[language]);
    expect(Number.parseInt(minutes ?? "", 10)).toBeLessThanOrEqual(15);
  });

  it.each([...languages])("say what code to look for, where, and how long it may be good (%s)", async (language) => {
    const texts = textsFor([language]);
    const settings = { numeric_code_length: 8, code_lifetime: 90, country: "NO" };
    const own = await createTenant(latchkey, { settings });
    const there = standardClient(latchkey, own, await addClient(latchkey, own.account_id));
    const hints: string[] = [];
    for (const identifier of ["nobody@example.com", "+4790000009"]) {
      const surfer = open({ "accept-language": language });
      const { html } = await surfer.act(await surfer.visit(there.address()), "identify", { identifier });
      expect(html).toMatch(/<input id="code"[^>]* aria-describedby="hint"/);
      hints.push(/ id="hint">([^<]*)</.exec(html)?.[1] ?? "");
    }
    expect(hints).toEqual([`${hints[1]} ${texts.code_in_spam}`, texts.code_hint(8, inWords(texts, 90))]);
  });

  it("look the same whether or not others' guesses have closed short codes, and take the longer one", async () => {
    const own = await createTenant(latchkey, { settings: { numeric_guess_limit: 1 } });
    const there = standardClient(latchkey, own, await addClient(latchkey, own.account_id, { first_party: true }));
    const users = [await addUser(latchkey, own.account_id), await addUser(latchkey, own.account_id)];
    const ask = async (identifier: string) => {
      const surfer = open();
      const shown = await surfer.act(await surfer.visit(there.address()), "identify", { identifier });
      return { surfer, shown, plain: shown.html.replaceAll(identifier, "…").replaceAll(/(request|nonce)=[^>]+/g, "…") };
    };
    const [closed = "", other = ""] = users.map(({ email }) => email);
    const stranger = await ask(closed);
    await stranger.surfer.act(stranger.shown, "code", { code: "000000" });
    const [theirs, others, nobody] = [await ask(closed), await ask(other), await ask("nobody@example.com")];
    expect([theirs.plain, others.plain]).toEqual([nobody.plain, nobody.plain]);
    expect(theirs.plain).toContain('inputmode="text"');
    const code = (await inbox(own, closed))[0]?.verification_code ?? "";
    expect(code).toMatch(/^\w{5}-\w{5}$/);
    expect(answered(await theirs.surfer.act(theirs.shown, "code", { code })).has("code")).toBe(true);
  });

  it("keep an address that was mistyped, to be mended", async () => {
    const to = { email: en.another_email, sms: en.another_phone, either: en.another_identifier };
    for (const [which, said] of Object.entries(to)) {
      const connections = which === "either" ? undefined : [which as "email" | "sms"];
      const { client_id } = await addClient(latchkey, tenant.account_id, connections ? { connections } : {});
      const typed = which === "sms" ? "+4740000001" : "typo@exmaple.com";
      const surfer = open();
      const asked = await begin(surfer, typed, { client_id });
      expect(asked.html).toContain(`>${said}<`);
      expect(typedIn(await surfer.act(asked, "restart"))).toBe(typed);
    }
  });

  it("ask nobody what a client may see who cannot log in as it needs", async () => {
    const claims = JSON.stringify({ id_token: { acr: { essential: true, value: "urn:latchkey:acr:2fa" } } });
    const surfer = open();
    const user = await addUser(latchkey, tenant.account_id);
    const asked = await begin(surfer, user.email, { claims });
    const [message] = await inbox(tenant, user.email);
    const end = await surfer.act(asked, "code", { code: message?.verification_code ?? "" });
    expect(answered(end).get("error")).toBe("unmet_authentication_requirements");
    expect((await surfer.visit(`${tenant.issuer}/login/consents`)).html, "nothing was agreed to").toContain(
      en.no_consents,
    );
  });
});
