/** Who mistypes an address or asks for a code again: nothing has to be typed twice, and impatience locks nobody out. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { languages } from "../../src/http/languages.ts";
import { textsFor } from "../../src/pages/texts/languages.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, createTenant, inbox, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letCodesRest } from "../support/time.ts";
import { wrongGuesses } from "../support/verification.ts";

const TOO_MANY = "Too many requests";
const field = ({ html }: Shown) => /<input id="identifier"[^>]*>/.exec(html)?.[0] ?? html;
const typedIn = (shown: Shown) => /value="([^"]*)"/.exec(field(shown))?.[1];
const isMarked = (shown: Shown) => field(shown).includes("aria-invalid");

describeOnBothEngines("asking again", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let standard: StandardClient;
  let from = 0;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.1" } });
    tenant = await createTenant(latchkey);
    standard = standardClient(latchkey, tenant, await addClient(latchkey, tenant.account_id, { first_party: true }));
  });
  afterAll(() => latchkey.close());
  // What one test asks for is counted against no other.
  beforeEach(() => {
    from += 1;
  });

  const rest = () => letCodesRest(latchkey, tenant.account_id, 31);
  const open = (more: Readonly<Record<string, string>> = {}, language = "en") => {
    const headers = { "accept-language": language, "x-forwarded-for": `203.0.113.${from}` };
    const surfer = openSurfer(latchkey, headers);
    return { surfer, page: surfer.visit(standard.address(undefined, more)) };
  };
  const begin = async (identifier: string, language?: string) => {
    const { surfer, page } = open({}, language);
    return { surfer, waiting: await surfer.act(await page, "identify", { identifier }) };
  };
  const press = async (surfer: Surfer, page: Shown, times: number) => {
    let shown = page;
    for (let n = 0; n < times; n++) shown = await surfer.act(shown, "resend");
    return shown;
  };
  const codes = async (to: string) => (await inbox(tenant, to)).map(({ verification_code }) => verification_code ?? "");
  /** As a process leaves it that ends between the code and the login. */
  const useUp = (email: string) => {
    const { storage } = latchkey.server.core;
    const used = { spent_at: new Date(storage.now()).toISOString(), redeemed_by: "somebody" };
    return storage.write(({ db }) =>
      db.updateTable("verification_codes").set(used).where("email", "=", email).execute(),
    );
  };
  /** A page without what differs by request. */
  const plain = ({ html }: Shown, identifier: string) =>
    html
      .replaceAll(identifier, "X")
      .replace(/request=[\w-]+/g, "")
      .replace(/nonce="[^"]+"/g, "");

  it("keeps what was typed beside what is said of it, and marks no hint that nobody typed", async () => {
    const hint = "ada@example.com";
    const slip = "ada.of.the.very.long.name(at)department.example.com";
    for (const more of [{}, { login_hint: hint }]) {
      const { surfer, page } = open(more);
      const wrong = await surfer.act(await page, "identify", { identifier: ` ${slip} ` });
      expect(wrong.html).toContain("Enter an e-mail address or a phone number.");
      expect([typedIn(wrong), isMarked(wrong)]).toEqual([slip, true]);
      const empty = await surfer.act(wrong, "identify", { identifier: "" });
      expect([typedIn(empty), isMarked(empty)]).toEqual(["", true]);
      const right = await surfer.act(empty, "identify", { identifier: hint });
      expect(right.html).toContain(`If ${hint} is known here`);
    }
  });

  it("keeps what was typed too often, and forgets what was typed before", async () => {
    const email = await standard.someone();
    for (let n = 0; n < 5; n++) await begin(email);
    const { surfer, waiting } = await begin(email);
    expect(waiting.html).toContain(TOO_MANY);
    expect([typedIn(waiting), isMarked(waiting)]).toEqual([email, false]);
    const first = await open().page;
    expect(typedIn(first)).toBe("");
    const other = await surfer.act(waiting, "identify", { identifier: await standard.someone() });
    expect(other.html).toContain('value="code"');
  });

  it("goes by what was typed last, where an address is mistyped beside a code that is waited for", async () => {
    const { surfer, page } = open();
    const [one, other] = [await page, await page];
    await surfer.act(one, "identify", { identifier: await standard.someone() });
    const wrong = await surfer.act(other, "identify", { identifier: "nobody" });
    expect([typedIn(wrong), isMarked(wrong)]).toEqual(["nobody", true]);
  });

  it.each(languages)(
    "says in %s that a code was asked for once more, alike whether or not it went out",
    async (language) => {
      const email = await standard.someone();
      const { surfer, waiting } = await begin(email, language);
      const said = `role="status" id="notice">${textsFor([language]).resent}<`;
      expect(waiting.html).not.toContain('role="status"');
      const hasty = await surfer.act(waiting, "resend");
      expect(hasty.html).toContain(said);
      await rest();
      const again = await surfer.act(hasty, "resend");
      expect(plain(again, email)).toBe(plain(hasty, email));
      expect(await codes(email)).toHaveLength(2);
      const wrong = await surfer.act(again, "code", { code: "x" });
      expect([wrong.html.includes('role="alert"'), wrong.html.includes('role="status"')]).toEqual([true, false]);
    },
  );

  it("counts nothing while nothing goes out, however often the button is pressed", async () => {
    const email = await standard.someone();
    const { surfer, waiting } = await begin(email);
    const hasty = await press(surfer, waiting, 8);
    expect(hasty.html).not.toContain(TOO_MANY);
    const [code = "", ...others] = await codes(email);
    expect(others).toEqual([]);
    for (let n = 0; n < 4; n++) expect((await begin(email)).waiting.html, `${n}`).not.toContain(TOO_MANY);
    await rest();
    const charged = await surfer.act(hasty, "resend");
    expect(charged.html).toContain(TOO_MANY);
    expect(await codes(email)).toHaveLength(5);
    expect(answered(await surfer.act(charged, "code", { code })).get("code")).toBeTruthy();
  });

  it("sends no more than is counted, pressed at once or each time that it may", async () => {
    const email = await standard.someone();
    const { surfer, waiting } = await begin(email);
    await rest();
    await Promise.all(Array.from({ length: 8 }, () => surfer.act(waiting, "resend")));
    expect(await codes(email)).toHaveLength(2);
    const patient = await standard.someone();
    const begun = await begin(patient);
    let shown = begun.waiting;
    for (let n = 0; n < 7; n++) {
      await rest();
      shown = await begun.surfer.act(shown, "resend");
      expect(shown.html.includes(TOO_MANY), `${n}`).toBe(n >= 4);
    }
    expect(await codes(patient)).toHaveLength(5);
  });

  it("answers people whom nobody knows in the same words at every step", async () => {
    const steps = async (identifier: string) => {
      const { surfer, waiting } = await begin(identifier);
      const hasty = await press(surfer, waiting, 2);
      await rest();
      const again = await press(surfer, hasty, 1);
      const wrong = await surfer.act(again, "code", { code: "x" });
      const anew = await press(surfer, wrong, 2);
      return [waiting, hasty, again, wrong, anew].map((shown) => plain(shown, identifier));
    };
    expect(await steps(`nobody@${engine}.example`)).toEqual(await steps(await standard.someone()));
  });

  it("sends another code at once to who used theirs up, as the page tells them to ask", async () => {
    const email = await standard.someone();
    const { surfer, waiting } = await begin(email);
    let page = await press(surfer, waiting, 3);
    const [first = ""] = await codes(email);
    for (const code of wrongGuesses(first, 5)) page = await surfer.act(page, "code", { code });
    page = await press(surfer, page, 3);
    expect(page.html).not.toContain(TOO_MANY);
    const [second = "", ...older] = await codes(email);
    expect(older).toEqual([first]);
    expect(answered(await surfer.act(page, "code", { code: second })).get("code")).toBeTruthy();
  });

  it("sends another code where one was used and no login followed, whether or not it was tried again", async () => {
    const { problems } = textsFor(["en"]);
    for (const tried of [true, false]) {
      const email = await standard.someone();
      const { surfer, waiting } = await begin(email);
      const [first = ""] = await codes(email);
      await useUp(email);
      const page = tried ? await surfer.act(waiting, "code", { code: first }) : waiting;
      expect(page.html.includes(problems.verification_code_used)).toBe(tried);
      const asked = await surfer.act(page, "resend");
      const [second = "", ...older] = await codes(email);
      expect(older, `${tried}`).toEqual([first]);
      // It rests like every other code.
      const hasty = await press(surfer, asked, 3);
      expect(await codes(email)).toHaveLength(2);
      expect(answered(await surfer.act(hasty, "code", { code: second })).get("code")).toBeTruthy();
    }
  });
});
