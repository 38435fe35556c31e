/** Where people are logged in, as they see and end it themselves (ASVS 5.0 §7.5.2), and the way out of a page (§7.4.4). */
import { randomBytes, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { slices } from "../../src/storage/pages.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { until } from "../support/smtp.ts";
import { answered, pkce, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";
import { openUpstream, type Upstream } from "../support/upstream.ts";

/** More than one statement ends. */
const MANY = 600;
const NOBODY = "Nobody is logged in here.";

describeOnBothEngines("people's own browsers", (engine) => {
  let latchkey: Latchkey;
  /** Another process, where the engine takes several. */
  let other: Latchkey | undefined;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  let listener: Receiver;
  let upstream: Upstream;
  const linked = `linked@${engine}.example`;
  beforeAll(async () => {
    listener = await openReceiver();
    const env = { EGRESS_ALLOW: "127.0.0.0/8" };
    latchkey = await startLatchkey(engine, { env });
    const { database, config } = latchkey;
    if (engine === "postgres") other = await startLatchkey(engine, { env, database, public_url: config.public_url });
    tenant = await createTenant(latchkey);
    upstream = await openUpstream({ linked: { email: linked, email_verified: true } }, tenant);
    own = await addClient(latchkey, tenant.account_id, {
      ...{ first_party: true, require_pkce: false, grant_types: ["authorization_code", "refresh_token"] },
      backchannel_logout_uri: `${listener.url}/out`,
    });
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(async () => {
    await other?.stop();
    await latchkey.close();
    await upstream.close();
    await listener.close();
  });

  const page = () => `${tenant.issuer}/login/consents`;
  const logIn = async (surfer: Surfer, email: string) => {
    const more = { scope: "openid offline_access", prompt: "login" };
    const shown = await surfer.logIn(standard.address(own, more), tenant, email);
    const { id_token, access_token, refresh_token } = (await standard.redeem(answered(shown).get("code") ?? "")).body;
    return { sid: claimsOf(id_token).sid as string, access_token, refresh_token };
  };
  /** Somebody in a browser of their own, or in one where others are logged in already. */
  const enter = async (email: string, surfer = openSurfer(latchkey)) => ({ surfer, ...(await logIn(surfer, email)) });
  const someone = async () => (await addUser(latchkey, tenant.account_id)).email;
  const refreshes = async (refresh_token: string) =>
    (await standard.token({ grant_type: "refresh_token", refresh_token })).status;
  const goesOn = async (surfer: Surfer) =>
    answered(await surfer.visit(standard.address(own, { prompt: "none" }))).has("code");
  const isActive = async (token: string, at = other ?? latchkey) => {
    const url = `${at.url}/v1/accounts/${tenant.account_id}/oauth/introspect`;
    return (await call(url, { method: "POST", headers: { authorization: basic(own) }, form: { token } })).body.active;
  };
  /** The forms that end something, by what is written on their buttons. */
  const formsIn = ({ html }: Shown) =>
    [...html.matchAll(/<form method="post"[\s\S]*?<\/form>/g)].map(([form]) => ({
      said: />([^<]+)<\/button>/.exec(form)?.[1] ?? "",
      fields: Object.fromEntries(
        [...form.matchAll(/name="(\w+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value]),
      ),
    }));
  const endings = (shown: Shown) => formsIn(shown).filter(({ fields }) => fields.browser !== undefined);
  const press = async (surfer: Surfer, said: string, place = 0, shown?: Shown) => {
    const form = formsIn(shown ?? (await surfer.visit(page()))).filter((one) => one.said === said)[place];
    if (!form) throw new Error(`there is no ${said}`);
    return surfer.visit(page(), form.fields as Record<string, string>);
  };

  it("are listed, each with when it began and was last used, and which one this is", async () => {
    const email = await someone();
    const [here, there] = [await enter(email), await enter(email)];
    await enter(await someone());
    await letPass(latchkey, "sessions", tenant.account_id, 3_600, ["idle_expires_at"]);
    await latchkey.server.core.storage.write(async ({ db }) => {
      const rows = db.updateTable("sessions").where("id", "=", there.sid);
      const at = "2020-02-02T02:02:02.000Z";
      await rows.set({ created_at: at, auth_time: Date.parse(at) }).execute();
    });
    const shown = await here.surfer.visit(page());
    const listed = shown.html.split("Where you are logged in")[1] ?? "";
    const rows = listed.split('<div class="who">').slice(1);
    expect(rows.map((row) => />([^<]* browser)</.exec(row)?.[1])).toEqual(["This browser", "Another browser"]);
    const times = [...(rows[1] ?? "").matchAll(/(\w[\w ]+): <time datetime="([^"]+)"/g)];
    expect(times.map(([, what]) => what)).toEqual(["Logged in", "Last used"]);
    expect(times[0]?.[2]).toBe("2020-02-02T02:02:02.000Z");
    const ago = Date.now() - Date.parse(times[1]?.[2] ?? "");
    expect([ago > 3_500_000, ago < 3_700_000], String(ago)).toEqual([true, true]);
    expect(endings(shown).map(({ said, fields }) => [said, fields.browser])).toEqual([
      ["Log out there", there.sid],
      ["Log out everywhere else", "others"],
    ]);
  });

  it("are logged out one by one, with all that a logout there would end, in every process, and told to clients", async () => {
    const email = await someone();
    const [here, there, third] = [await enter(email), await enter(email), await enter(email)];
    const guest = await enter(await someone(), there.surfer);
    expect(await isActive(there.access_token)).toBe(true);
    const shown = await here.surfer.visit(page());
    const place = endings(shown).findIndex(({ fields }) => fields.browser === there.sid);
    const done = await press(here.surfer, "Log out there", place, shown);
    expect(done.html).toContain('<p role="status">That login has ended.</p>');
    expect([await refreshes(there.refresh_token), await isActive(there.access_token, latchkey)]).toEqual([400, false]);
    await until("the other process", async () => !(await isActive(there.access_token)));
    const told = await until("a message", async () => listener.all.find(({ body }) => body.includes("logout_token")));
    const claims = claimsOf(new URLSearchParams(told.body).get("logout_token") ?? "");
    expect(claims.sid).toBe(there.sid);
    for (const { surfer, refresh_token } of [here, third, guest]) {
      expect(await refreshes(refresh_token)).toBe(200);
      expect(await goesOn(surfer)).toBe(true);
    }
    // By now it has ended, which is no error.
    expect((await press(here.surfer, "Log out there", place, shown)).status).toBe(200);
    expect((await there.surfer.visit(page())).html, "the guest's").not.toContain(email);
  });

  it("are logged out everywhere else at once, those too that lie idle, and this one stays", async () => {
    const email = await someone();
    const idle = await enter(email);
    await letPass(latchkey, "sessions", tenant.account_id, 2 * 86_400, ["idle_expires_at"]);
    const here = await enter(email);
    const listed = await here.surfer.visit(page());
    expect(endings(listed).map(({ said }) => said)).toEqual(["Log out everywhere else"]);
    const there = await enter(email);
    await latchkey.server.core.storage.write(async ({ db }) => {
      const row = await db.selectFrom("sessions").selectAll().where("id", "=", there.sid).executeTakeFirstOrThrow();
      const copies = Array.from({ length: MANY }, () => ({
        ...row,
        id: randomUUID(),
        browser_digest: randomBytes(32),
      }));
      for (const some of slices(copies, 100)) await db.insertInto("sessions").values(some).execute();
    });
    const shown = await here.surfer.visit(page());
    expect(endings(shown)).toHaveLength(21);
    expect(shown.html).toContain("in more browsers than are listed");
    expect((await press(here.surfer, "Log out everywhere else")).html).toContain("everywhere else have ended.");
    for (const { refresh_token } of [idle, there]) expect(await refreshes(refresh_token)).toBe(400);
    const left = latchkey.server.core.storage.read.selectFrom("sessions").select("id").where("ended_at", "is", null);
    const { user_id } = await left.select("user_id").where("id", "=", here.sid).executeTakeFirstOrThrow();
    expect(await left.where("user_id", "=", user_id).execute()).toEqual([{ id: here.sid }]);
    expect([await refreshes(here.refresh_token), await goesOn(here.surfer)]).toEqual([200, true]);
    expect(endings(await here.surfer.visit(page()))).toEqual([]);
  });

  it("are nobody else's to see or end, nor by a form of another site", async () => {
    const [mine, theirs] = [await enter(await someone()), await enter(await someone())];
    const cookie = [...mine.surfer.jar].map((pair) => pair.join("=")).join("; ");
    const send = async (form: Record<string, string>, headers: Record<string, string> = {}) =>
      (await call(`${tenant.base}/login/consents`, { method: "POST", headers: { cookie, ...headers }, form })).status;
    const session = mine.sid;
    expect((await mine.surfer.visit(page())).html).not.toContain(theirs.sid);
    expect(await send({ session, browser: theirs.sid }), "as of one that has ended").toBe(303);
    expect(await send({ session: theirs.sid, browser: theirs.sid })).toBe(403);
    expect(await send({ session: theirs.sid, browser: "others" })).toBe(403);
    for (const site of ["cross-site", "same-site", "none"])
      expect(await send({ session, browser: session }, { "sec-fetch-site": site }), site).toBe(403);
    for (const { refresh_token } of [mine, theirs]) expect(await refreshes(refresh_token)).toBe(200);
    expect(await send({ session, browser: session }, { "sec-fetch-site": "same-origin" })).toBe(303);
    expect([await refreshes(mine.refresh_token), await refreshes(theirs.refresh_token)]).toEqual([400, 200]);
    expect((await mine.surfer.visit(page(), { session, browser: "others" })).html, "and was ended").toContain(NOBODY);
  });

  it("that several people share are ended for each alone, or for everybody", async () => {
    const [one, two] = [await someone(), await someone()];
    const first = await enter(one);
    const second = await enter(two, first.surfer);
    const elsewhere = await enter(one);
    const shown = await first.surfer.visit(page());
    for (const email of [one, two]) expect(shown.html).toMatch(new RegExp(`<h3 id="whose-\\d">${email}</h3>`));
    const out = endings(shown).find(({ fields }) => fields.browser === first.sid);
    expect(out).toEqual({ said: "Log out", fields: { session: first.sid, browser: first.sid } });
    await first.surfer.visit(page(), out?.fields as Record<string, string>);
    const statuses = [first, second, elsewhere].map(({ refresh_token }) => refreshes(refresh_token));
    expect(await Promise.all(statuses)).toEqual([400, 200, 200]);
    await logIn(first.surfer, one);
    expect((await first.surfer.visit(page())).html).toContain(">Log everybody out of this browser<");
  });

  it("are seen and ended by another server's word only where it alone logged them in", async () => {
    const { client_id, client_secret, issuer: authority } = upstream;
    const oidc = { client_id, client_secret, authority, trusted_domains: [`${engine}.example`] };
    const asking = await addClient(latchkey, tenant.account_id, { first_party: true });
    const grant = { client_id: asking.id, audience: "https://o.example", scope: [], type: "authorization_code", oidc };
    await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    await addUser(latchkey, tenant.account_id, { email: linked });
    const byWord = async () => {
      const surfer = openSurfer(latchkey);
      const login = await surfer.visit(standard.address(asking, pkce));
      const link = /href="(login\/upstream[^"]+)"/.exec(login.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
      const away = await surfer.visit(new URL(link, login.url).href);
      const back = await upstream.answer("linked", Object.fromEntries(new URL(away.url).searchParams));
      expect(answered(await surfer.visit(back)).get("code")).toBeTruthy();
      return surfer;
    };
    const mine = await enter(linked);
    const [theirs, also] = [await byWord(), await byWord()];
    const shown = await theirs.visit(page());
    const [ending] = endings(shown);
    expect([endings(shown).length, ending?.fields.browser === mine.sid]).toEqual([2, false]);
    const session = ending?.fields.session ?? "";
    await theirs.visit(page(), { session, browser: mine.sid });
    await theirs.visit(page(), { session, browser: "others" });
    expect(await refreshes(mine.refresh_token)).toBe(200);
    expect((await also.visit(page())).html).toContain(NOBODY);
    expect(endings(await mine.surfer.visit(page())).map(({ fields }) => fields.browser)).toEqual([session, "others"]);
  });

  it("lead out of the page, and out of the sandbox inbox", async () => {
    const { surfer, refresh_token } = await enter(await someone());
    for (const url of [page(), `${tenant.issuer}/sandbox`]) {
      const { html } = await surfer.visit(url);
      expect(html, url).toContain(
        `<form method="post" action="${tenant.issuer}/oauth/logout"><button class="other" id="out" name="confirm" value="yes">Log out<`,
      );
    }
    expect((await surfer.visit(`${tenant.issuer}/oauth/logout`, { confirm: "yes" })).html).toContain(
      "You are logged out",
    );
    expect(await refreshes(refresh_token)).toBe(400);
    for (const url of [page(), `${tenant.issuer}/sandbox`])
      expect((await surfer.visit(url)).html, url).not.toContain("oauth/logout");
    expect((await surfer.visit(page())).html).toContain(NOBODY);
  });

  it("say that a client was removed once it was, and not because another site says so", async () => {
    const third = await addClient(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    await surfer.logIn(standard.address(third), tenant, await someone());
    const said = '<p role="status">It was removed.</p>';
    const [form] = formsIn(await surfer.visit(page()));
    const fields = form?.fields as Record<string, string>;
    expect((await surfer.visit(page(), fields)).html).toContain(said);
    const none = { ...fields, client: randomUUID() };
    expect((await surfer.visit(page(), none)).html, "of what is not there").not.toContain(said);
    const headers = { "sec-fetch-site": "cross-site" };
    const led = await call(`${tenant.base}/login/consents?done=client`, { headers });
    expect([led.status, led.text.includes(said)]).toEqual([200, false]);
    expect((await surfer.visit(`${page()}?done=constructor`)).html).not.toContain('role="status"');
  });
});
