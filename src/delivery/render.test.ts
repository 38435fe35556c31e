import { expect, it } from "vitest";
import { reveal, secret } from "../secrets/secret.ts";
import type { CodeNotice, MessagePurpose } from "./delivery.ts";
import { renderMail, renderSms } from "./render.ts";
import { en } from "./templates/en.ts";

const notice: CodeNotice = {
  purpose: "login",
  connection: "sms",
  strategy: "sms",
  to: "+4740000000",
  locale: "en",
  client_name: "The Shop",
  lifetime: 600,
  login_uri: "https://login.shop.example/enter",
};

function textOf(purpose: MessagePurpose, locale: string): string {
  const rendering = { id: "1", account_id: "P10000001", to: "+4740000000", notice: { ...notice, purpose, locale } };
  const code = purpose === "contact_changed" ? null : secret("7KQM4-X2PVD");
  return reveal(renderSms({ ...rendering, code, link: null }).text);
}

it.each(["en", "nb"])(
  "an SMS says for whom its code is, what for and for how long, and differs by purpose (%s)",
  (locale) => {
    const purposes = Object.keys(en.purposes) as MessagePurpose[];
    const texts = purposes.map((purpose) => textOf(purpose, locale));
    expect(new Set(texts).size).toBe(purposes.length);
    for (const [at, text] of texts.entries()) {
      expect(text).toContain("The Shop");
      if (purposes[at] === "contact_changed") continue;
      expect(text).toMatch(/10 minut.*\n\n@login\.shop\.example #7KQM4-X2PVD$/s);
      expect(text).toMatch(/7KQM4-X2PVD.*\n\n/s);
    }
    expect(textOf("login", "en")).toMatch(/^7KQM4-X2PVD is your login code for The Shop\. It works for 10 minutes\./);
    expect(textOf("numeric_closed", "en")).toContain("Somebody is trying to guess your login codes");
    for (const purpose of ["password_reset", "contact", "second_factor"] as const)
      expect(textOf(purpose, "en"), purpose).not.toContain("login code");
  },
);

it("cuts a long name between two characters, never within one", () => {
  const rendering = { id: "1", account_id: "P10000001", to: "+4740000000", code: secret("7KQM4-X2PVD"), link: null };
  for (const letters of [98, 99, 100]) {
    const named = { ...rendering, notice: { ...notice, client_name: `${"a".repeat(letters)}🦊🦊` } };
    const { subject, text } = renderMail(named);
    for (const said of [reveal(renderSms(named).text), subject, reveal(text)])
      expect(said, `${letters} letters`).not.toMatch(/\p{Cs}/u);
  }
});
