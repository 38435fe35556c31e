/**
 * Steps of a hosted login beside the straight way: a second factor, the code once more, somebody else, a choice,
 * consent again.
 */
import { randomBytes, randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { beginSession } from "../../src/authentication/sessions/begin-session.ts";
import { findSessions } from "../../src/authentication/sessions/find-sessions.ts";
import { knowsPerson } from "../../src/authentication/sessions/known-browser.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { changeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { logBrowserIn } from "../../src/oauth/browser/log-browser-in.ts";
import type { OpenRequest } from "../../src/oauth/browser/open-request.ts";
import type { Oauth } from "../../src/oauth/oauth.ts";
import { type HotStatement, instant } from "../../src/storage/storage.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { actor, addClient, addUser, CALLBACK, call, inbox } from "../support/latchkey.ts";
import { addPerson, logInAccountUser, oneTimePassword, setFactors } from "../support/people.ts";
import { answered, openScene, type Scene } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letCodesRest, letLoginsRest } from "../support/time.ts";

const [ONE, TWO] = ["urn:latchkey:acr:1fa", "urn:latchkey:acr:2fa"];

describeOnBothEngines("a step of the hosted login", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  const newest = async (to: string) => (await inbox(scene.tenant, to))[0]?.verification_code ?? "";
  /** Up to the page that waits for the code. */
  const begin = async (surfer: Surfer, url: string, identifier: string) =>
    surfer.act(await surfer.visit(url), "identify", { identifier });
  const idTokenOf = async (shown: Shown, client = scene.own) =>
    claimsOf((await scene.redeem(answered(shown).get("code") ?? "", client)).body.id_token);
  const someone = () => addUser(scene.latchkey, scene.tenant.account_id);
  const sessionOf = ({ html }: Shown, email: string) =>
    new RegExp(`name="session" value="([^"]+)"><button class="other">${email}<`).exec(html)?.[1] ?? "";

  it("takes a password of an authenticator app, once, and reaches the class that the client asks for", async () => {
    const { latchkey, tenant } = scene;
    const me = await logInAccountUser(latchkey, tenant);
    const surfer = openSurfer(latchkey);
    const address = (more: Record<string, string> = {}) => scene.address(me.client, more);
    const first = await idTokenOf(await surfer.logIn(address(), tenant, me.email), me.client);
    expect(first).toMatchObject({ sub: me.id, amr: ["otp"], acr: ONE });
    const app = (method: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user/mfa/totp`, { method, token: me.token, ...(json ? { json } : {}) });
    const { secret } = (await app("POST")).body;
    const used = oneTimePassword(secret);
    expect((await app("PUT", { otp: used })).status).toBe(201);
    const wished = { acr_values: TWO };
    const silently = (more: Record<string, string>) => surfer.visit(address({ ...more, prompt: "none" }));
    expect(answered(await silently(wished)).get("error")).toBe("login_required");
    const waiting = await begin(surfer, address(wished), me.email);
    const asked = await surfer.act(waiting, "code", { code: await newest(me.email) });
    expect(asked.html).toContain("Code from your authenticator app");
    expect(asked.html, "nothing else is offered").not.toContain('value="challenge"');
    const again = await surfer.act(asked, "factor", { code: used });
    expect(again.html).toContain("wrong or was used");
    const done = await surfer.act(again, "factor", { code: oneTimePassword(secret, 1) });
    const reached = { sub: me.id, amr: ["otp", "mfa"], acr: TWO };
    expect(await idTokenOf(done, me.client)).toMatchObject(reached);
    const essential = JSON.stringify({ id_token: { acr: { essential: true, values: [TWO] } } });
    for (const more of [wished, { claims: essential }])
      expect(await idTokenOf(await silently(more), me.client), JSON.stringify(more)).toMatchObject(reached);
    const named = async (acr: object) => {
      const claims = JSON.stringify({ id_token: { acr } });
      return (await idTokenOf(await silently({ claims }), me.client)).acr;
    };
    for (const acr of [{ essential: true, values: [ONE] }, { essential: true, value: ONE }, { value: ONE }])
      expect(await named(acr), JSON.stringify(acr)).toBe(ONE);
    for (const acr of [{ values: [ONE, TWO] }, { essential: true }, { value: "urn:nobody:knows" }])
      expect(await named(acr), JSON.stringify(acr)).toBe(TWO);
  });

  it("asks nobody for a second factor that they have not, unless the client insists", async () => {
    const { tenant, latchkey } = scene;
    const { email } = await someone();
    const surfer = openSurfer(latchkey);
    const wished = scene.address(scene.own, { acr_values: TWO });
    const first = await idTokenOf(await surfer.logIn(wished, tenant, email));
    expect(first).toMatchObject({ amr: ["otp"], acr: ONE });
    const silently = (more: Record<string, string>) =>
      surfer.visit(scene.address(scene.own, { ...more, prompt: "none" }));
    const again = { sub: first.sub, auth_time: first.auth_time, acr: ONE };
    expect(await idTokenOf(await surfer.visit(wished)), "a session is enough").toMatchObject(again);
    expect(await idTokenOf(await silently({ acr_values: TWO }))).toMatchObject(again);
    const claims = JSON.stringify({ id_token: { acr: { essential: true, values: [TWO] } } });
    expect(answered(await silently({ claims })).get("error")).toBe("login_required");
  });

  it("goes back from a code that did not come to the authenticator app", async () => {
    const { latchkey, tenant } = scene;
    const me = await logInAccountUser(latchkey, tenant);
    const app = (method: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user/mfa/totp`, { method, token: me.token, ...(json ? { json } : {}) });
    const { secret } = (await app("POST")).body;
    expect((await app("PUT", { otp: oneTimePassword(secret) })).status).toBe(201);
    await setFactors(latchkey, tenant.account_id, me.id, { sms: "+4740999999" });
    const surfer = openSurfer(latchkey);
    const waiting = await begin(surfer, scene.address(me.client), me.email);
    const first = await surfer.act(waiting, "code", { code: await newest(me.email) });
    const offers = ({ html }: Shown) =>
      [...html.matchAll(/name="channel" value="(\w+)"/g)].map(([, channel]) => channel);
    expect([first.html.includes("Code from your authenticator app"), offers(first)]).toEqual([true, ["sms"]]);
    const sent = await surfer.act(first, "challenge", { channel: "sms" });
    expect([sent.html.includes("Code by SMS"), offers(sent)]).toEqual([true, ["app", "sms"]]);
    const back = await surfer.act(sent, "challenge", { channel: "app" });
    expect([back.html.includes("Code from your authenticator app"), offers(back)]).toEqual([true, ["sms"]]);
    const done = await surfer.act(back, "factor", { code: oneTimePassword(secret, 1) });
    expect((await idTokenOf(done, me.client)).sub).toBe(me.id);
  });

  it("keeps the first factor of who sends the code twice at once", async () => {
    const { latchkey, tenant } = scene;
    const { storage } = latchkey.server.core;
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const surfer = openSurfer(latchkey);
    const waiting = await begin(surfer, scene.address(), person.email);
    const code = await newest(person.email);
    // Both have read where the login is before one of them goes on, and the other goes on when that one is through.
    const event = () => {
      let happen = () => {};
      return { happened: new Promise<void>((resolve) => (happen = resolve)), happen: () => happen() };
    };
    const [both, one] = [event(), event()];
    const hot = storage.hot.bind(storage);
    let came = 0;
    const spy = vi.spyOn(storage, "hot").mockImplementation(async <I, O>(statement: HotStatement<I, O>, input: I) => {
      if (/^redeem_/.test(statement.name)) {
        came += 1;
        if (came === 2) both.happen();
        await (came === 2 ? one : both).happened;
      }
      return hot(statement, input);
    });
    const sent = [1, 2].map(() => surfer.act(waiting, "code", { code }).finally(one.happen));
    await Promise.all(sent).finally(() => spy.mockRestore());
    const asked = await surfer.act(await surfer.visit(waiting.url), "challenge", { channel: "sms" });
    const done = await surfer.act(asked, "factor", { code: await newest(person.phone_number) });
    expect((await idTokenOf(done)).sub).toBe(person.id);
  });

  it("begins anew for whoever is somebody else after all, and what was waited for before is no use then", async () => {
    const { latchkey, tenant } = scene;
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const other = await someone();
    const surfer = openSurfer(latchkey);
    const waiting = await begin(surfer, scene.address(), person.email);
    expect((await surfer.act(waiting, "restart")).html).toContain('value="identify"');
    const late = await surfer.visit(waiting.url, { action: "code", code: await newest(person.email) });
    expect(late.html, "the code").toContain('value="identify"');
    const back = await surfer.act(late, "identify", { identifier: person.email });
    const halfway = await surfer.act(back, "code", { code: await newest(person.email) });
    const asked = await surfer.act(halfway, "challenge", { channel: "sms" });
    expect((await surfer.act(asked, "restart")).html).toContain('value="identify"');
    const code = await newest(person.phone_number);
    expect(code).toMatch(/^\d{6}$/);
    const later = await surfer.visit(asked.url, { action: "factor", code });
    expect(later.html, "the second factor").toContain('value="identify"');
    const theirs = await surfer.act(later, "identify", { identifier: other.email });
    const done = await surfer.act(theirs, "code", { code: await newest(other.email) });
    expect((await idTokenOf(done)).sub).toBe(other.id);
  });

  it("logs nobody in by halves: after a fault the browser is the one that it was, and whoever was logged in still is", async () => {
    const { latchkey, tenant } = scene;
    const { directory, storage } = latchkey.server.core;
    const [present, failing] = [await someone(), await someone()];
    const surfer = openSurfer(latchkey);
    await surfer.logIn(scene.address(), tenant, present.email);
    const sessions = (user_id: string) =>
      storage.read
        .selectFrom("sessions")
        .select(["browser_digest", "auth_time"])
        .where("user_id", "=", user_id)
        .execute();
    const [before] = await sessions(present.id);
    const opened = {
      request: { account_id: tenant.account_id, id: "any" },
      browser: before?.browser_digest,
    } as unknown as OpenRequest;
    const subject = {
      user_id: failing.id,
      authenticated_at: storage.now(),
      amr: ["otp"],
      second_factor: false,
      authorization_id: "",
    };
    const account = await findAccount(directory, tenant.account_id);
    const rename = (from: string, to: string) =>
      storage.write((tx) => sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(tx.db));
    await rename("authorization_requests", "requests_elsewhere");
    const failed = await logBrowserIn({ directory } as Oauth, account, opened, subject, storage.now())
      .catch((error: unknown) => String(error))
      .finally(() => rename("requests_elsewhere", "authorization_requests"));
    expect(failed).toMatch(/authorization_requests/);
    expect(await sessions(failing.id)).toEqual([]);
    expect(await sessions(present.id)).toEqual([before]);
    const silent = await surfer.visit(scene.address(scene.own, { prompt: "none" }));
    expect((await idTokenOf(silent)).sub).toBe(present.id);
  });

  it("sends the same code once more, half a minute after the last message", async () => {
    const { latchkey, tenant } = scene;
    const { email } = await someone();
    const surfer = openSurfer(latchkey);
    const waiting = await begin(surfer, scene.address(), email);
    const hasty = await surfer.act(waiting, "resend");
    expect(await inbox(tenant, email)).toHaveLength(1);
    await letCodesRest(latchkey, tenant.account_id, 31);
    const again = await surfer.act(hasty, "resend");
    const [second, first, ...others] = (await inbox(tenant, email)).map(({ verification_code }) => verification_code);
    expect([first, others]).toEqual([second, []]);
    expect(answered(await surfer.act(again, "code", { code: first ?? "" })).get("code")).toBeTruthy();
  });

  it.each([
    ["nb", "fi", "nb"],
    ["nb", "en-GB", "en"],
    ["nb", "", "nb"],
    ["", "fr, nb;q=0.5", "nb"],
    ["", "de-AT, nb;q=0.5", "de"],
    ["", "is", "en"],
  ])("writes to who is '%s', and whose browser asks for '%s', in %s, twice", async (locale, asks, says) => {
    const { latchkey, tenant } = scene;
    const { email } = await addUser(latchkey, tenant.account_id, locale ? { locale } : {});
    const surfer = openSurfer(latchkey, asks ? { "accept-language": asks } : {});
    const waiting = await begin(surfer, scene.address(), email);
    await letCodesRest(latchkey, tenant.account_id, 31);
    await surfer.act(waiting, "resend");
    const languages = (await inbox(tenant, email)).map(({ html }) => /<html lang="(\w+)">/.exec(html)?.[1]);
    expect(languages).toEqual([says, says]);
  });

  it("asks who is meant where the client wants that, where several are logged in, and takes nobody else's login", async () => {
    const { latchkey, tenant, own } = scene;
    const [first, second, third] = [await someone(), await someone(), await someone()];
    const [surfer, stranger] = [openSurfer(latchkey), openSurfer(latchkey)];
    const select = scene.address(own, { prompt: "select_account" });
    await surfer.logIn(scene.address(), tenant, first.email);
    const alone = await surfer.visit(select);
    const chosen = await surfer.act(alone, "choose", { session: sessionOf(alone, first.email) });
    expect((await idTokenOf(chosen)).sub).toBe(first.id);
    await stranger.logIn(scene.address(), tenant, second.email);
    const foreign = sessionOf(await stranger.visit(select), second.email);
    const crafted = await surfer.act(await surfer.visit(select), "choose", { session: foreign });
    expect([foreign === "", crafted.html.includes('value="choose"')]).toEqual([false, true]);
    await surfer.logIn(scene.address(own, { prompt: "login" }), tenant, second.email);
    const silent = await surfer.visit(scene.address(own, { prompt: "none" }));
    expect(answered(silent).get("error")).toBe("account_selection_required");
    const both = await surfer.visit(scene.address());
    expect(sessionOf(both, first.email)).not.toBe("");
    const picked = await surfer.act(both, "choose", { session: sessionOf(both, second.email) });
    expect((await idTokenOf(picked)).sub).toBe(second.id);
    const neither = await surfer.act(await surfer.visit(scene.address()), "another");
    const waiting = await surfer.act(neither, "identify", { identifier: third.email });
    const done = await surfer.act(waiting, "code", { code: await newest(third.email) });
    expect((await idTokenOf(done)).sub).toBe(third.id);
  });

  it("is another for a browser that knows the person by a login here, not by what another server said", async () => {
    const { directory } = scene.latchkey.server.core;
    const { storage } = directory;
    const { account_id } = scene.tenant;
    const account = await findAccount(directory, account_id);
    const { id: user_id, email } = await addUser(scene.latchkey, account_id);
    const [now, later] = [instant(storage.now()), instant(storage.now() + 60_000)];
    const times = { auth_time: 1, created_at: now, idle_expires_at: later, expires_at: later };
    const known = async (provider: string | null) => {
      const browser_digest = randomBytes(32);
      const session = { account_id, id: randomUUID(), user_id, browser_digest, provider, amr: "[]", ...times };
      await storage.write(async ({ db }) => void (await db.insertInto("sessions").values(session).execute()));
      return knowsPerson(directory, account, browser_digest, email);
    };
    expect([await known(null), await known("https://provider.example")]).toEqual([true, false]);
  });

  it("still knows them where they have since come by another server, in the session that they had", async () => {
    const { directory } = scene.latchkey.server.core;
    const { storage } = directory;
    const { account_id } = scene.tenant;
    const account = await findAccount(directory, account_id);
    const { id: user_id, email } = await addUser(scene.latchkey, account_id);
    let before: Uint8Array | undefined;
    const logIn = async (provider?: string) => {
      const shown = { authenticated_at: storage.now(), amr: ["otp"], provider, authorization_id: randomUUID() };
      const subject = { user_id, second_factor: false, ...shown };
      const cookies = { before, now: randomBytes(32) };
      before = cookies.now;
      const session_id = await storage.write((tx) => beginSession(tx, account, subject, cookies, storage.now()));
      return { session_id, known: await knowsPerson(directory, account, cookies.now, email) };
    };
    const upstream = "https://provider.example";
    expect((await logIn(upstream)).known).toBe(false);
    const own = await logIn();
    const later = [await logIn(upstream), await logIn(upstream), await logIn()];
    expect(later).toEqual([own, own, own]);
    expect(own.known).toBe(true);
    expect((await findSessions(directory, account_id, before)).map(({ id }) => id)).toEqual([own.session_id]);
    const rows = await storage.read.selectFrom("sessions").select("id").where("user_id", "=", user_id).execute();
    expect(rows).toHaveLength(2);
  });

  it("sends nobody who leaves to a callback that was removed meanwhile", async () => {
    const { latchkey, tenant } = scene;
    const own = await addClient(latchkey, tenant.account_id, { callbacks: [CALLBACK] });
    const surfer = openSurfer(latchkey);
    const begun = await surfer.visit(scene.address(own));
    const { directory } = latchkey.server.core;
    const client = await findClient(directory, tenant.account_id, own.client_id);
    await changeClient(directory, client, { settings: { callbacks: ["https://shop.example/new"] } }, actor);
    const left = await surfer.act(begun, "cancel");
    expect([left.status, left.url.startsWith(CALLBACK)]).toEqual([400, false]);
  });

  it.each([
    ["60", 100, "identify"],
    ["0", 10, "allow"],
    ["0", 100, "identify"],
    ["600", 100, "allow"],
  ])("holds max_age=%s against a login that lay %i s at the question of consent: %s", async (max_age, age, page) => {
    const { latchkey, tenant } = scene;
    const { account_id } = tenant;
    const third = await addClient(latchkey, account_id);
    const person = await someone();
    const surfer = openSurfer(latchkey);
    const logIn = async () => {
      const waiting = await surfer.act(await surfer.visit(begun.url), "identify", { identifier: person.email });
      return surfer.act(waiting, "code", { code: await newest(person.email) });
    };
    const begun = await surfer.visit(scene.address(third, { max_age }));
    const asked = await logIn();
    expect(asked.html).toContain('value="allow"');
    await letLoginsRest(latchkey, account_id, age);
    expect((await surfer.visit(asked.url)).html).toContain(`value="${page}"`);
    const answer = await surfer.act(asked, "allow");
    expect(answered(answer).has("code")).toBe(page === "allow");
    if (page !== "identify") return;
    expect(answer.html, "and is told why").toContain("Log in once more before you allow this.");
    await letCodesRest(latchkey, account_id, 60);
    const again = await logIn();
    const { auth_time, iat } = await idTokenOf(await surfer.act(again, "allow"), third);
    expect(iat - auth_time).toBeLessThan(60);
  });

  it("goes on with whoever logged in at a build from before, which noted that they did and not when", async () => {
    const { latchkey, tenant } = scene;
    const third = await addClient(latchkey, tenant.account_id);
    const { email } = await someone();
    const surfer = openSurfer(latchkey);
    const waiting = await begin(surfer, scene.address(third, { max_age: "0" }), email);
    const asked = await surfer.act(waiting, "code", { code: await newest(email) });
    const { storage } = latchkey.server.core;
    const { progress, id } = await storage.read
      .selectFrom("authorization_requests")
      .select(["progress", "id"])
      .where("client_id", "=", third.id)
      .executeTakeFirstOrThrow();
    const noted = JSON.stringify({ ...JSON.parse(progress), fresh: true });
    await storage.write(({ db }) =>
      db.updateTable("authorization_requests").set({ progress: noted }).where("id", "=", id).execute(),
    );
    expect((await surfer.visit(asked.url)).html).toContain('value="allow"');
    expect(answered(await surfer.act(asked, "allow")).get("code")).toBeTruthy();
  });

  it("asks for consent once more where the client wants that, and a no takes back nothing", async () => {
    const { latchkey, tenant, own } = scene;
    const third = await addClient(latchkey, tenant.account_id);
    const [person, other] = [await someone(), await someone()];
    const surfer = openSurfer(latchkey);
    await surfer.logIn(scene.address(third), tenant, person.email);
    expect(answered(await surfer.visit(scene.address(third))).get("code")).toBeTruthy();
    const again = scene.address(third, { prompt: "consent" });
    expect(answered(await surfer.act(await surfer.visit(again), "allow")).get("code")).toBeTruthy();
    expect(answered(await surfer.act(await surfer.visit(again), "deny")).get("error")).toBe("access_denied");
    expect(answered(await surfer.visit(scene.address(third, { prompt: "none" }))).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(scene.address(own, { prompt: "consent" }))).get("code"), "our own").toBeTruthy();
    const theirs = await surfer.act(await surfer.visit(again), "another");
    const waiting = await surfer.act(theirs, "identify", { identifier: other.email });
    const asked = await surfer.act(waiting, "code", { code: await newest(other.email) });
    expect(asked.html).toContain(`<span>${other.email}</span>`);
    expect((await idTokenOf(await surfer.act(asked, "allow"), third)).sub).toBe(other.id);
  });
});
