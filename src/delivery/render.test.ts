import { describe, expect, it } from "vitest";
import { languageOf, languages as pages } from "../http/languages.ts";
import { reveal, secret } from "../secrets/secret.ts";
import type { CodeNotice, LoginChange, MessagePurpose } from "./delivery.ts";
import { renderMail, renderSms } from "./render.ts";
import { en } from "./templates/en.ts";
import { templateOf } from "./templates/languages.ts";

const notice: CodeNotice = {
  purpose: "login",
  connection: "sms",
  strategy: "sms",
  to: "+4740000000",
  locale: "en",
  client_name: "The Shop",
  lifetime: 600,
  host: "login.shop.example",
};

const changes = Object.keys(en.changed.what) as LoginChange[];
const without_code: readonly MessagePurpose[] = ["page_guessed", ...changes];
const row = { id: "1", account_id: "P10000001", to: "+4740000000", created_at: "2026-11-30T23:44:59.999Z" };

function textOf(purpose: MessagePurpose, locale: string): string {
  const rendering = { ...row, notice: { ...notice, purpose, locale } };
  const code = without_code.includes(purpose) ? null : secret("7KQM4-X2PVD");
  return reveal(renderSms({ ...rendering, code, link: null }).text);
}

it.each(pages)("an SMS says for whom its code is, what for and for how long, and differs by purpose (%s)", (locale) => {
  const purposes = [...(Object.keys(en.purposes) as MessagePurpose[]), ...changes];
  const texts = purposes.map((purpose) => textOf(purpose, locale));
  expect(new Set(texts).size).toBe(purposes.length);
  for (const [at, text] of texts.entries()) {
    expect(text).toContain("The Shop");
    if (without_code.includes(purposes[at] ?? "login")) continue;
    expect(text).toMatch(/10 [Mm]inut.*\n\n@login\.shop\.example #7KQM4-X2PVD$/s);
    expect(text).toMatch(/7KQM4-X2PVD.*\n\n/s);
  }
  expect(textOf("login", "en")).toMatch(/^7KQM4-X2PVD is your login code for The Shop\. It works for 10 minutes\./);
  expect(textOf("numeric_closed", "en")).toContain("Somebody is trying to guess your login codes");
  for (const purpose of ["password_reset", "contact", "second_factor"] as const)
    expect(textOf(purpose, "en"), purpose).not.toContain("login code");
});

it("says in one message what changed at once, and when, in the order in which it was told", () => {
  const further: LoginChange[] = ["factor_removed"];
  const rendering = {
    ...row,
    code: null,
    link: null,
    notice: { ...notice, purpose: "password_changed", further },
  } as const;
  const { subject, text, html } = renderMail(rendering);
  const said =
    "A new password or PIN for The Shop was set in your name. A second step of your logins at The Shop was switched off. That was on 2026-11-30 at 23:44 UTC. If that was not you, tell The Shop at once.";
  expect([subject, reveal(text)]).toEqual(["How you log in at The Shop has changed", `${said}\n`]);
  expect(reveal(html)).toContain(said);
  expect(reveal(renderSms(rendering).text)).toBe(said);
});

it("cuts a long name between two characters, never within one", () => {
  const rendering = { ...row, code: secret("7KQM4-X2PVD"), link: null };
  for (const letters of [98, 99, 100]) {
    const named = { ...rendering, notice: { ...notice, client_name: `${"a".repeat(letters)}🦊🦊` } };
    const { subject, text } = renderMail(named);
    for (const said of [reveal(renderSms(named).text), subject, reveal(text)])
      expect(said, `${letters} letters`).not.toMatch(/\p{Cs}/u);
  }
});

describe.each(pages)("the messages in %s", (locale) => {
  const texts = (template: typeof en, minutes = 10) => [
    ...Object.values(template.purposes).flatMap(({ subject, intro, sms }) => [
      subject("The Shop"),
      intro("The Shop"),
      sms?.("The Shop", "123456") ?? "",
    ]),
    template.changed.subject("The Shop"),
    ...Object.values(template.changed.what).map((what) => what("The Shop")),
    template.changed.at("2026-11-30", "23:44 UTC"),
    template.changed.not_you("The Shop"),
    template.lifetime(minutes),
    template.not_you,
    template.link,
    template.sms_lifetime(minutes),
  ];
  const own = texts(templateOf(locale));

  it("are of the language of the pages", () => {
    expect([templateOf(locale).language, languageOf([`${locale}-XX`])]).toEqual([locale, locale]);
  });

  it("are all of their own, say for whom, and count one minute as one", () => {
    const english = texts(en);
    if (locale !== "en") expect(own.filter((text) => text !== "" && english.includes(text))).toEqual([]);
    expect(own.filter((text) => text.includes("The Shop"))).toHaveLength(
      3 * Object.keys(en.purposes).length + changes.length + 1,
    );
    expect(texts(templateOf(locale), 1).join()).not.toMatch(/1 (minutes|minutter|minuter|Minuten)/);
  });

  it("cost an SMS no more than its letters: all are of its own alphabet (GSM 03.38)", () => {
    const strange = own.join("").match(/[^\n\w !"#$%&'()*+,\-./:;<=>?ÄÖÑÜ§¿äöñüàåÅØøÆæßÉéèùìòÇ]/g);
    expect(strange).toBeNull();
  });
});

it("a name that is written from right to left stands in a sentence that is not", () => {
  const rendering = { ...row, code: secret("123456"), link: null };
  const named = { ...rendering, notice: { ...notice, client_name: "\u202eמסעדה 24\n" } };
  expect(renderMail(named).subject).toBe("Your login code for \u2068מסעדה 24\u2069");
  expect(reveal(renderSms(named).text)).toContain("for \u2068מסעדה 24\u2069.");
});
