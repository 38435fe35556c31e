/** Pages about what went wrong speak the reader's language, and promise nothing that is not so. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { languages } from "../../src/http/languages.ts";
import { inWords } from "../../src/pages/say-problem.ts";
import { textsFor } from "../../src/pages/texts/languages.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addAccountUser, addPerson } from "../support/people.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";

const ENGLISH = /\b([Tt]he|[Tt]his|[Tt]here|[Yy]ou|[Yy]our|has|been|again|wrong|many)\b/;

/** What a page says in its own language: names and what is marked as English are left out. */
const said = ({ html }: Shown) =>
  (/<main>.*<\/main>/s.exec(html)?.[0] ?? "")
    .replace(/<p[^>]* lang="en">.*?<\/p>/gs, "")
    .replace(/<[^>]*>/g, " ")
    .replaceAll("The Shop", "");

describeOnBothEngines("pages about what went wrong", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey, {
      client: { first_party: true },
      settings: { factor_guess_limit: 1, code_lifetime: 60 },
    });
  });
  afterAll(() => latchkey.close());

  const authorize = (surfer: Surfer, more: Readonly<Record<string, string>> = {}) => {
    const about = {
      client_id: tenant.client.client_id,
      redirect_uri: CALLBACK,
      response_type: "code",
      scope: "openid",
    };
    return surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams({ ...about, ...more })}`);
  };

  describe.each(languages)("in %s", (language) => {
    const texts = textsFor([language]);
    const open = (more: Readonly<Record<string, string>> = {}) =>
      openSurfer(latchkey, { "accept-language": language, ...more });
    function speaks(shown: Shown, sentence: string) {
      expect(shown.html).toContain(`<html lang="${language}">`);
      expect(said(shown)).toContain(sentence);
      if (language !== "en") expect(said(shown)).not.toMatch(ENGLISH);
    }

    it("says that a login is over, or another browser's", async () => {
      const page = await authorize(open());
      for (const url of [
        page.url,
        `${tenant.issuer}/login?request=gone`,
        `${tenant.issuer}/login/upstream/callback/x`,
      ]) {
        const shown = await open().visit(url);
        expect(shown.status).toBe(404);
        speaks(shown, texts.refused.not_found);
      }
    });

    it("says where a form is about to go that posts itself, and posts it by a button where no script runs", async () => {
      const form = { response_mode: "form_post", prompt: "none" };
      const asked = openSurfer(latchkey, { "accept-language": "xx" });
      for (const shown of [await authorize(open(), form), await authorize(asked, { ...form, ui_locales: language })]) {
        speaks(shown, texts.consent_at(new URL(CALLBACK).host));
        const [, heading] = /<h1>([^<]*)<\/h1>/.exec(shown.html) ?? [];
        expect(heading).toBe(texts.consent_at(new URL(CALLBACK).host));
        expect(shown.html).toMatch(
          new RegExp(`<form method="post" action="${CALLBACK}">[^]*<button>${texts.go_on}</button>`),
        );
        expect(shown.html).not.toContain("<noscript>");
      }
    });

    it("says that another site's form is not taken", async () => {
      speaks(
        await open({ "sec-fetch-site": "cross-site" }).visit(`${tenant.issuer}/device`, {
          user_code: "BBBB-BBBB",
        }),
        texts.refused.access_denied,
      );
    });

    it("says that nobody is logged in, and not that they agreed to nothing", async () => {
      const url = `${tenant.issuer}/login/consents`;
      const shown = await open().visit(url);
      expect(shown.status).toBe(200);
      speaks(shown, texts.nobody_logged_in);
      expect(said(shown)).not.toContain(texts.no_consents);
      const surfer = open();
      await surfer.logIn((await authorize(surfer)).url, tenant);
      const listed = await surfer.visit(url);
      speaks(listed, texts.no_consents);
      expect(said(listed)).not.toContain(texts.nobody_logged_in);
    });

    it("says that a logout came about, also where it was asked for wrongly, and a developer why nobody is sent back", async () => {
      const surfer = open();
      await surfer.logIn((await authorize(surfer)).url, tenant, (await addUser(latchkey, tenant.account_id)).email);
      const endpoint = `${tenant.issuer}/oauth/logout`;
      const wrong = { client_id: tenant.client.client_id, post_logout_redirect_uri: "https://evil.example/bye" };
      const asked = await surfer.visit(`${endpoint}?${new URLSearchParams(wrong)}`);
      speaks(asked, texts.sign_out_button);
      const left = await surfer.visit(endpoint, { ...wrong, confirm: "yes" });
      expect([left.status, left.url]).toEqual([400, endpoint]);
      const program = await call(`${endpoint}?${new URLSearchParams(wrong)}`);
      expect([program.status, program.body.error]).toEqual([400, "invalid_request"]);
      speaks(left, texts.signed_out);
      expect(said(left)).not.toContain(texts.error);
      expect(left.html).toMatch(/<p class="quiet" lang="en">post_logout_redirect_uri is not registered[^<]*<\/p>/);
      expect(new URL((await authorize(surfer, { prompt: "none" })).url).searchParams.get("error")).toBe(
        "login_required",
      );
    });

    it("says that too many codes of devices were wrong", async () => {
      const surfer = open();
      const type = () => surfer.visit(`${tenant.issuer}/device`, { user_code: "BBBB-BBBB" });
      speaks(await type(), texts.device.wrong);
      let shown = await type();
      for (let n = 0; n < 12 && shown.status === 200; n++) shown = await type();
      expect(shown.status).toBe(429);
      speaks(shown, texts.problems.too_many_wrong_codes);
    });

    it("tells a developer in English what to put right, marked as such, below a sentence for everybody", async () => {
      for (const more of [{ client_id: "nobody" }, { redirect_uri: "https://evil.example/" }]) {
        const shown = await authorize(open(), more);
        speaks(shown, texts.refused.other);
        expect(shown.html).toMatch(/<p class="quiet" lang="en">[^<]*(client|redirect_uri)[^<]*<\/p>/);
      }
    });

    it.each([
      ["email", "+4740000001", "identifier_email", "invalid_email"],
      ["sms", "ada@example.com", "identifier_phone", "invalid_phone"],
    ] as const)("asks for what a client of %s alone takes, and names it", async (kind, other, label, wrong) => {
      const { client_id } = await addClient(latchkey, tenant.account_id, { first_party: true, connections: [kind] });
      const surfer = open();
      const asked = await authorize(surfer, { client_id });
      expect(asked.html).toContain(`<label for="identifier">${texts[label]}</label>`);
      const refused = await surfer.act(asked, "identify", { identifier: other });
      speaks(refused, texts.problems[wrong]);
      expect(refused.html).toContain('aria-invalid="true"');
      expect(said(refused)).not.toContain(texts.problems.invalid_identifier);
    });

    it("promises no message about a second factor, and no code for longer than it may be good", async () => {
      const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
      const surfer = open();
      const waiting = await surfer.act(await authorize(surfer), "identify", { identifier: person.email });
      speaks(waiting, texts.code_sent(person.email));
      const [longest, ...others] = said(waiting).match(/\d+ [mM]in\w+/g) ?? [];
      expect([longest, others]).toEqual([inWords(texts, 60), []]);
      const [mail] = await inbox(tenant, person.email);
      const second = await surfer.act(waiting, "code", { code: mail?.verification_code ?? "" });
      const asked = await surfer.act(second, "challenge", { channel: "sms" });
      const right = (await inbox(tenant, person.phone_number))[0]?.verification_code;
      const code = right === "000000" ? "000001" : "000000";
      speaks(await surfer.act(asked, "factor", { code: "" }), texts.problems.invalid_grant);
      await surfer.act(asked, "factor", { code });
      const closed = await surfer.act(asked, "factor", { code });
      speaks(closed, texts.problems.too_many_wrong_codes);
      expect(closed.html).not.toContain(texts.problems.too_many_attempts);
    });
  });

  it("lets somebody else log in where who is logged in may not read the sandbox inbox, and says so", async () => {
    const own = await createTenant(latchkey);
    const stranger = await addAccountUser(latchkey, own, { scope: ["read:customers"] });
    const { email } = await addAccountUser(latchkey, own, { scope: ["admin:accounts"] });
    const url = `${own.issuer}/sandbox`;
    for (const language of languages) {
      const surfer = openSurfer(latchkey, { "accept-language": language });
      const refused = textsFor([language]).sandbox.may_not;
      expect(said(await surfer.visit(url))).not.toContain(refused);
      const logIn = async (who: string) => {
        const waiting = await surfer.act(await surfer.visit(url, {}), "identify", { identifier: who });
        const [mail] = await inbox(own, who);
        return surfer.act(waiting, "code", { code: mail?.verification_code ?? "" });
      };
      const back = await logIn(stranger.email);
      expect([back.url, said(back).includes(refused)]).toEqual([url, true]);
      expect((await logIn(email)).html).toContain("<details>");
    }
  });

  it("says in every language which command makes a client for the sandbox inbox", async () => {
    for (const language of languages) {
      const shown = await openSurfer(latchkey, { "accept-language": language }).visit(`${tenant.issuer}/sandbox`, {});
      const command = `latchkey client create ${tenant.account_id} --first-party --user-type account_user`;
      expect([shown.status, shown.html.includes(`<code>${command}</code>`)]).toEqual([404, true]);
      expect(said(shown)).toContain(textsFor([language]).sandbox.no_client);
    }
  });

  it.each(["constructor", "__proto__", "toString"])("speaks English to who asks for %s", async (tag) => {
    const shown = await openSurfer(latchkey, { "accept-language": tag }).visit(`${tenant.issuer}/device`);
    expect([shown.status, shown.html.includes('<html lang="en">')]).toEqual([200, true]);
    const page = await authorize(openSurfer(latchkey), { ui_locales: tag });
    expect([page.status, page.html.includes('<html lang="en">')]).toEqual([200, true]);
  });
});
