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
import { wrongGuesses } from "../support/verification.ts";

const answered = (shown: Shown) => new URL(shown.url).searchParams;

describeOnBothEngines("wrong codes at the hosted login", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
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
});
