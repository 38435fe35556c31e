/** Wrong codes that strangers type at the hosted login: what they cost the client, and what the person is told. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  CALLBACK,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letCodesRest } from "../support/time.ts";
import { useUpSource } from "../support/used-up.ts";
import { wrongGuesses } from "../support/verification.ts";

const answered = (shown: Shown) => new URL(shown.url).searchParams;
const [TOO_MANY, STILL_GOOD] = ["Too many requests", "you can still enter it"];

describeOnBothEngines("wrong codes at the hosted login", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.1" } });
  });
  afterAll(() => latchkey.close());

  const opened = async (settings: object, more: object = {}) => {
    const tenant = await createTenant(latchkey, { settings });
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, ...more });
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    return { tenant, client };
  };
  const begin = async (
    { tenant, client }: { tenant: Tenant; client: TestClient },
    surfer: Surfer,
    identifier: string,
  ) => {
    const about = { client_id: client.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    const page = await surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
    return surfer.act(page, "identify", { identifier });
  };
  const newest = async (tenant: Tenant) => (await inbox(tenant, tenant.user.email))[0];

  it("leave the client's codes of ten symbols good alone, as they are counted against that login", async () => {
    const own = await opened({ typable_guess_limit: 3 }, { code_format: "typable" });
    const { tenant, client } = own;
    const { client_id } = client;
    const verification_code = await mintCode(tenant, { client_id });
    const surfer = openSurfer(latchkey);
    let page = await begin(own, surfer, "nobody@example.com");
    for (let n = 0; n < 5; n++)
      page = await surfer.act(page, "code", { code: n % 2 === 0 ? "ABCDE-ABCDE" : "nonsense" });
    expect(page.html).toContain("That code is wrong");
    expect((await authorize(tenant, { verification_code, client_id })).status).toBe(302);
  });

  it("are refused without a trace after twenty, and the right one still logs in", async () => {
    const own = await opened({}, {});
    const { tenant } = own;
    const surfer = openSurfer(latchkey);
    let page = await begin(own, surfer, tenant.user.email);
    const right = (await newest(tenant))?.verification_code ?? "";
    const guess = async (code: string) => {
      page = await surfer.act(page, "code", { code });
      return page.html;
    };
    const events = async () => {
      const rows = await latchkey.server.core.storage.read
        .selectFrom("audit_events")
        .select("id")
        .where("account_id", "=", tenant.account_id)
        .where("action", "=", "verification_code.refused")
        .execute();
      return rows.length;
    };
    for (let n = 0; n < 20; n++) expect(await guess("ABCDE-ABCDE")).toContain("That code is wrong");
    expect(await events()).toBe(20);
    for (const code of ["ABCDE-ABCDE", "nonsense"]) expect(await guess(code)).toContain("Too many wrong codes");
    expect(await events()).toBe(20);
    expect(answered(await surfer.act(page, "code", { code: right })).get("code")).toBeTruthy();
  });

  it("tell the person that they closed short codes, without a code that is good in the guesser's browser alone", async () => {
    const own = await opened({ numeric_guess_limit: 3 });
    const { tenant } = own;
    const guesser = openSurfer(latchkey, { "x-forwarded-for": "203.0.113.5" });
    let page = await begin(own, guesser, tenant.user.email);
    const right = (await newest(tenant))?.verification_code ?? "";
    for (const code of wrongGuesses(right, 3)) page = await guesser.act(page, "code", { code });
    const notice = await newest(tenant);
    expect(notice?.subject).toContain("Somebody is trying to guess your login codes");
    expect(notice?.verification_code).toBeUndefined();
    expect(notice?.text).toContain("ask for a new code");
    expect(notice?.text).not.toMatch(/\w{5}-\w{5}/);
    await guesser.act(page, "resend");
    expect((await newest(tenant))?.text, "that is no message about guesses").not.toContain("Somebody");
    const person = openSurfer(latchkey, { "x-forwarded-for": "198.51.100.20" });
    const waiting = await begin(own, person, tenant.user.email);
    const longer = await newest(tenant);
    expect(longer?.verification_code).toMatch(/^\w{5}-\w{5}$/);
    const code = longer?.verification_code ?? "";
    expect(answered(await person.act(waiting, "code", { code })).get("code")).toBeTruthy();
  });

  /** Somebody's login is under way while strangers use up what goes out in their name, and guess until short codes are closed. */
  const besieged = async (identifier: (tenant: Tenant) => string) => {
    const own = await opened({}, {});
    const { tenant } = own;
    const who = identifier(tenant);
    const person = openSurfer(latchkey, { "x-forwarded-for": "198.51.100.20" });
    const waiting = await begin(own, person, who);
    const code = (await inbox(tenant, who))[0]?.verification_code ?? "000000";
    for (let n = 0; n < 19; n++) {
      const stranger = openSurfer(latchkey, { "x-forwarded-for": `203.0.113.${n % 4}` });
      let page = await begin(own, stranger, who);
      for (const guess of n < 2 ? wrongGuesses(code, 5) : []) page = await stranger.act(page, "code", { code: guess });
    }
    const later = openSurfer(latchkey, { "x-forwarded-for": "198.51.100.21" });
    expect((await begin(own, later, who)).html, "the sends are used up").toContain(TOO_MANY);
    return { own, tenant, who, person, waiting, code };
  };

  it("lock nobody out of a login that is under way, though strangers also used up the sends", async () => {
    const shown: string[][] = [];
    for (const identifier of [({ user }: Tenant) => user.email, () => "nobody@example.com"]) {
      const { tenant, who, person, waiting, code } = await besieged(identifier);
      const messages = async () => (await inbox(tenant, who)).length;
      const before = await messages();
      const pages: Shown[] = [await person.act(waiting, "code", { code })];
      expect(pages[0]?.html).toContain("Too many wrong codes");
      const step = async (action: string, fields = {}) => {
        pages.push(await person.act(pages.at(-1) ?? waiting, action, fields));
        return pages.at(-1)?.html;
      };
      expect(await step("resend")).toContain("A message can take a minute to arrive");
      const known = who === tenant.user.email;
      expect((await messages()) - before).toBe(known ? 1 : 0);
      const longer = (await inbox(tenant, who))[0]?.verification_code ?? "AAAAA-AAAAA";
      expect(longer).toMatch(/^\w{5}-\w{5}$/);
      await letCodesRest(latchkey, tenant.account_id, 31);
      const again = await step("resend");
      expect([again?.includes(TOO_MANY), again?.includes(STILL_GOOD)], "once, and that one is good").toEqual([
        true,
        true,
      ]);
      expect((await messages()) - before).toBe(known ? 1 : 0);
      const plain = ({ html }: Shown) =>
        html.replaceAll(who, "X").replace(/request=[\w-]+|nonce="[^"]+"|in \d+ minutes/g, "");
      shown.push(pages.map(plain));
      if (known) expect(answered(await person.act(waiting, "code", { code: longer })).get("code")).toBeTruthy();
    }
    expect(shown[1], "nobody is told who is known").toEqual(shown[0]);
  });

  it("take from a page that a code which came can be entered, as its end does", async () => {
    const { tenant, person, waiting, code } = await besieged(({ user }) => user.email);
    const { storage } = latchkey.server.core;
    // What the person's own source may ask for is used up too, so that nothing more goes out.
    await useUpSource(latchkey, tenant, "send_source", "198.51.100.20");
    await letCodesRest(latchkey, tenant.account_id, 31);
    const refused = await person.act(waiting, "resend");
    expect([refused.html.includes(TOO_MANY), refused.html.includes(STILL_GOOD)], "closed").toEqual([true, false]);
    expect((await person.act(refused, "code", { code })).html).toContain("Too many wrong codes");
    await storage.write(({ db }) =>
      db
        .deleteFrom("budgets")
        .where("account_id", "=", tenant.account_id)
        .where("budget", "=", "numeric_guess")
        .execute(),
    );
    const open = await person.act(refused, "resend");
    expect([open.html.includes(TOO_MANY), open.html.includes(STILL_GOOD)], "open").toEqual([true, true]);
    await letCodesRest(latchkey, tenant.account_id, 601);
    const late = await person.act(open, "resend");
    expect([late.html.includes(TOO_MANY), late.html.includes(STILL_GOOD)], "expired").toEqual([true, false]);
  });
});
