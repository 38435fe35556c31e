/** Hosted login beyond the code: other providers, new people, known browsers, and codes that get longer under attack. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { createUser } from "../../src/directory/users/create-user.ts";
import { claimsOf } from "../support/claims.ts";
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
import { setFactors } from "../support/people.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown } from "../support/surfer.ts";
import { openUpstream, type Upstream } from "../support/upstream.ts";

describeOnBothEngines("the hosted login, otherwise", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let upstream: Upstream;
  let client: TestClient;
  let known: { id: string; email: string };
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    known = await addUser(latchkey, tenant.account_id, { email: `linked@${engine}.example` });
    const people = {
      linked: { email: known.email, email_verified: true },
      unverified: { email: known.email, email_verified: false },
      guarded: { email: `guarded@${engine}.example`, email_verified: true },
      ada: { email: "new@elsewhere.example", email_verified: true, name: "New Ada" },
      one: {},
      other: {},
    };
    upstream = await openUpstream(people, tenant);
    client = await addClient(latchkey, tenant.account_id, { first_party: true });
    await addProvider(client);
  });
  afterAll(async () => {
    await latchkey.close();
    await upstream.close();
  });

  async function addProvider(own: TestClient) {
    const { client_id, client_secret, issuer: authority } = upstream;
    const oidc = { client_id, client_secret, authority, trusted_domains: [`${engine}.example`] };
    const grant = { client_id: own.id, audience: "https://orders.example", scope: [], type: "authorization_code" };
    const json = { ...grant, oidc };
    const reply = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
    if (reply.status >= 300) throw new Error(reply.text);
  }

  const address = (own = client, more: Record<string, string> = {}, at = tenant) => {
    const about = { client_id: own.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    return `${at.issuer}/oauth/authorize?${new URLSearchParams({ ...about, ...more })}`;
  };
  /** Presses the other provider's button and logs in there; `crafted` changes what is asked on the way. */
  async function goThere(
    surfer: ReturnType<typeof openSurfer>,
    sub: string,
    crafted = (asked: URLSearchParams): unknown => asked,
    own = client,
    more: Record<string, string> = {},
  ) {
    const page = await surfer.visit(address(own, more));
    const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const away = await surfer.visit(new URL(link, page.url).href);
    expect(away.url.startsWith(upstream.issuer), page.html).toBe(true);
    const asked = new URL(away.url).searchParams;
    crafted(asked);
    return upstream.answer(sub, Object.fromEntries(asked));
  }

  it("logs people in at another provider and links them by a verified address", async () => {
    const surfer = openSurfer(latchkey);
    const back = await surfer.visit(await goThere(surfer, "linked"));
    expect(back.url.startsWith(CALLBACK), back.html).toBe(true);
    expect(answered(back).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(address(client, { prompt: "none" }))).get("code")).toBeTruthy();
  });

  const idTokenOf = async (shown: Shown) =>
    claimsOf((await standardClient(latchkey, tenant, client).redeem(answered(shown).get("code") ?? "")).body.id_token);

  it("takes another provider's login for one factor of no method", async () => {
    const surfer = openSurfer(latchkey);
    const back = await surfer.visit(await goThere(surfer, "linked"));
    expect(await idTokenOf(back)).toMatchObject({ sub: known.id, amr: [], acr: "urn:latchkey:acr:1fa" });
  });

  it("asks for a person's second factor after another provider's login too, which may be a mailed code", async () => {
    const email = `guarded@${engine}.example`;
    const { id } = await addUser(latchkey, tenant.account_id, { email });
    await setFactors(latchkey, tenant.account_id, id, { email });
    const surfer = openSurfer(latchkey);
    const back = await surfer.visit(await goThere(surfer, "guarded"));
    expect([back.html.includes('value="email"'), back.html.includes('value="sms"')]).toEqual([true, false]);
    const asked = await surfer.act(back, "challenge", { channel: "email" });
    const code = (await inbox(tenant, email))[0]?.verification_code ?? "";
    const wrong = await surfer.act(asked, "factor", { code: code === "000000" ? "000001" : "000000" });
    expect(wrong.html).toContain("wrong or was used");
    const done = await surfer.act(wrong, "factor", { code });
    expect(await idTokenOf(done)).toMatchObject({ sub: id, amr: ["otp", "mfa"], acr: "urn:latchkey:acr:2fa" });
  });

  it("asks another provider for the fresh login that the client asks for", async () => {
    const surfer = openSurfer(latchkey);
    for (const [more, expected] of [
      [{}, [null, null]],
      [{ prompt: "login" }, ["login", "0"]],
      [{ prompt: "login", max_age: "60" }, ["login", "0"]],
      [{ max_age: "60" }, [null, "60"]],
    ] as const) {
      const page = await surfer.visit(address(client, more));
      const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
      const asked = answered(await surfer.visit(new URL(link, page.url).href));
      expect([asked.get("prompt"), asked.get("max_age")]).toEqual(expected);
    }
  });

  it("does nothing more for a login that was answered, whatever is pressed on a page that was gone back to", async () => {
    const surfer = openSurfer(latchkey);
    let asked = new URLSearchParams();
    const answer = await goThere(surfer, "linked", (params) => (asked = params));
    const again = await upstream.answer("linked", Object.fromEntries(asked));
    expect(answered(await surfer.visit(answer)).get("code")).toBeTruthy();
    const cookies = surfer.set.length;
    const done = await surfer.visit(again);
    const url = new URL(done.url);
    const pressed = [done];
    for (const action of ["identify", "resend", "cancel", "deny"])
      pressed.push(await surfer.visit(url.href, { action, identifier: known.email }));
    const grant_id = asked.get("state")?.split(".")[1] ?? "";
    pressed.push(await surfer.visit(`${url.href.replace("/login?", "/login/upstream?")}&with=${grant_id}`));
    expect(pressed.map((one) => [one.url, one.html.includes("This login is done")])).toEqual(
      pressed.map(() => [url.href, true]),
    );
    expect([surfer.set.length, await inbox(tenant, known.email)], "no session, no code").toEqual([cookies, []]);
  });

  it("takes another provider's word at the clients that ask it, and at no other", async () => {
    const other = await addClient(latchkey, tenant.account_id, { first_party: true });
    const surfer = openSurfer(latchkey);
    await surfer.visit(await goThere(surfer, "linked"));
    expect(answered(await surfer.visit(address(client, { prompt: "none" }))).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(address(other, { prompt: "none" }))).get("error")).toBe("login_required");
    await surfer.logIn(address(other), tenant, known.email);
    for (const own of [client, other])
      expect(answered(await surfer.visit(address(own, { prompt: "none" }))).get("code")).toBeTruthy();
  });

  it("leads no account user to another provider, which decides about none", async () => {
    const staff = await addClient(latchkey, tenant.account_id, { first_party: true, user_type: "account_user" });
    await addProvider(staff);
    const { html } = await openSurfer(latchkey).visit(address(staff));
    expect([html.includes('value="identify"'), html.includes("login/upstream")]).toEqual([true, false]);
  });

  it("asks for no address where the client sends no codes, and leaves the other provider's button", async () => {
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, connections: [] });
    const signing = await addClient(latchkey, tenant.account_id, { signup: true, connections: [] });
    const alone = await openSurfer(latchkey).visit(address(own));
    expect([alone.html.includes('value="identify"'), alone.html.includes("You cannot log in here.")]).toEqual([
      false,
      true,
    ]);
    for (const one of [own, signing]) {
      await addProvider(one);
      const { html } = await openSurfer(latchkey).visit(address(one, one === signing ? { prompt: "create" } : {}));
      expect(html.replaceAll("<wbr>", "")).toContain("Continue with 127.0.0.1");
      expect(html).not.toMatch(/value="identify"|<input id|We send you|where to send|cannot log in|role="alert"/);
    }
    const surfer = openSurfer(latchkey);
    const page = await surfer.visit(address(own));
    const { email } = await addUser(latchkey, tenant.account_id);
    const crafted = await surfer.visit(page.url, { action: "identify", identifier: email });
    expect([crafted.html.includes("login/upstream"), await inbox(tenant, email)]).toEqual([true, []]);
    const failed = (await goThere(surfer, "linked", undefined, own)).replace(/([?&]iss=)[^&]+/, "$1x");
    for (const answer of [failed, await goThere(surfer, "unverified", undefined, own)]) {
      const back = await surfer.visit(answer);
      expect([back.html.includes('role="alert"'), / code\b/.test(back.html.split("<main>")[1] ?? "")], answer).toEqual([
        true,
        false,
      ]);
    }
    expect(answered(await surfer.visit(await goThere(surfer, "linked", undefined, own))).get("code")).toBeTruthy();
  });

  it("tells people apart who have neither address, number nor name, by whose they are and since when", async () => {
    const own = await addClient(latchkey, tenant.account_id, { signup: true });
    await addProvider(own);
    const surfer = openSurfer(latchkey);
    const { host } = new URL(upstream.issuer);
    for (const sub of ["one", "other"]) {
      const page = await surfer.visit(await goThere(surfer, sub, undefined, own, { prompt: "login" }));
      expect(page.html).toContain(`<span>Somebody at ${host}</span>`);
    }
    await latchkey.server.core.storage.write(async ({ db }) => {
      const theirs = db.selectFrom("sessions").select("id").where("provider", "=", upstream.issuer);
      const [newest] = await theirs.orderBy("created_at", "desc").execute();
      const auth_time = Date.parse("2026-01-02T03:04:05Z");
      await db
        .updateTable("sessions")
        .set({ auth_time, expires_at: "2999-01-01T00:00:00.000Z" })
        .where("id", "=", newest?.id ?? "")
        .execute();
    });
    const choice = await surfer.visit(address(own, { prompt: "select_account" }));
    const buttons = [...choice.html.matchAll(/name="session"[^>]*><button class="other">(.*?)<\/button>/g)];
    const names = buttons.map(([, text = ""]) => text.replace(/<[^>]*>/g, ""));
    const times = names.map((name) => /^Somebody at (.*), logged in (.* UTC)$/.exec(name)?.slice(1) ?? [name]);
    expect(times.map(([at]) => at)).toEqual([host, host]);
    expect(new Set(times.map(([, time]) => time)).size).toBe(2);
    expect(times.map(([, time]) => time)).toContain("2026-01-02 03:04:05 UTC");
    const mixed = await surfer.act(await surfer.act(choice, "another"), "identify", { identifier: known.email });
    await surfer.act(mixed, "code", { code: (await inbox(tenant, known.email))[0]?.verification_code ?? "" });
    const all = (await surfer.visit(address(own, { prompt: "select_account" }))).html;
    expect(all).toContain(`<button class="other">${known.email}</button>`);
  });

  it("shows its page whatever a grant of before calls its provider", async () => {
    const own = await addClient(latchkey, tenant.account_id, { first_party: true });
    const oidc = { client_id: "x", client_secret: "x", authority: "https://login.example" };
    const grant = {
      client_id: own.id,
      audience: "https://orders.example",
      scope: [],
      type: "authorization_code",
      oidc,
    };
    const made = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    const kept = JSON.stringify({ client_id: "x", authority: "no address at all" });
    await latchkey.server.core.storage.write(({ db }) =>
      db.updateTable("grants").set({ oidc: kept }).where("id", "=", made.body.id).execute(),
    );
    const surfer = openSurfer(latchkey);
    const page = await surfer.visit(address(own));
    expect(page.status).toBe(200);
    const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    expect((await surfer.visit(new URL(link, page.url).href)).html).toContain("did not log you in");
  });

  it("lets nobody in whose address the other provider did not verify, or whom nobody here knows", async () => {
    for (const sub of ["unverified", "ada"]) {
      const surfer = openSurfer(latchkey);
      const back = await surfer.visit(await goThere(surfer, sub));
      expect(back.html, sub).toContain("No user here is linked to that login");
    }
  });

  it("says so where the other provider's login belongs to a user of another type than the client's", async () => {
    const company = await addClient(latchkey, tenant.account_id, {
      ...{ first_party: true, signup: true, user_type: "company" },
    });
    await addProvider(company);
    const surfer = openSurfer(latchkey);
    expect(answered(await surfer.visit(await goThere(surfer, "linked"))).get("code")).toBeTruthy();
    const back = await surfer.visit(await goThere(surfer, "linked", undefined, company));
    expect(back.html).toContain("No user here is linked to that login");
    expect(answered(await surfer.visit(address(client, { prompt: "none" }))).get("code")).toBeTruthy();
    expect(answered(await surfer.visit(address(company, { prompt: "none" }))).get("error")).toBe("login_required");
  });

  it("takes the other provider's answer in the browser that asked, once, and no crafted one", async () => {
    const [mine, theirs] = [openSurfer(latchkey), openSurfer(latchkey)];
    const answer = await goThere(mine, "linked");
    await theirs.visit(address());
    expect((await theirs.visit(answer)).status).toBe(404);
    const crafted = new URL(answer);
    crafted.searchParams.set(
      "state",
      `${(crafted.searchParams.get("state") ?? "").split(".").slice(0, 2).join(".")}.x`,
    );
    expect((await mine.visit(crafted.href)).html).toContain("did not log you in");
    for (const mix of [
      (said: URLSearchParams) => said.set("iss", "https://evil.example"),
      (said: URLSearchParams) => said.delete("iss"),
    ]) {
      const mixed = new URL(answer);
      mix(mixed.searchParams);
      expect((await mine.visit(mixed.href)).html, mixed.search).toContain("did not log you in");
    }
    for (const crafted of [
      (asked: URLSearchParams) => asked.set("nonce", "another"),
      (asked: URLSearchParams) => asked.delete("nonce"),
    ]) {
      const surfer = openSurfer(latchkey);
      expect((await surfer.visit(await goThere(surfer, "linked", crafted))).html).toContain("did not log you in");
    }
    expect(answered(await mine.visit(answer)).get("code")).toBeTruthy();
    expect((await mine.visit(answer)).url.startsWith(CALLBACK)).toBe(false);
  });

  it("signs new people up where the client does, and sends others nothing", async () => {
    const own = await addClient(latchkey, tenant.account_id, { first_party: true, signup: true });
    const email = `newcomer@${engine}.example`;
    const surfer = openSurfer(latchkey);
    const page = await surfer.visit(address(own, { prompt: "create", scope: "openid email" }));
    expect(page.html).toContain("Create an account at The Shop");
    const waiting = await surfer.act(page, "identify", { identifier: email });
    const code = (await inbox(tenant, email))[0]?.verification_code ?? "";
    expect(answered(await surfer.act(waiting, "code", { code })).get("code")).toBeTruthy();
    const there = await call(`${tenant.base}/customers/users`, {
      method: "HEAD",
      token: tenant.token,
      query: { email },
    });
    expect(there.status).toBe(200);
    const stranger = openSurfer(latchkey);
    const asked = await stranger.visit(address(client, { prompt: "create" }));
    await stranger.act(asked, "identify", { identifier: `stranger@${engine}.example` });
    expect(await inbox(tenant, `stranger@${engine}.example`)).toEqual([]);
  });

  it("shows the sandbox inbox to account users who may read it, and to nobody else", async () => {
    const at = await createTenant(latchkey);
    const page = `${at.issuer}/sandbox`;
    const surfer = openSurfer(latchkey);
    expect((await surfer.visit(page, {})).html).toContain("latchkey client create");
    const own = await addClient(latchkey, at.account_id, { first_party: true, user_type: "account_user" });
    const { directory } = latchkey.server.core;
    const account = await findAccount(directory, at.account_id);
    const staff = async (email: string, scope: string[]) =>
      createUser(directory, account, { type: "account_user", email, verified: true, scope }, actor);
    await staff("reader@example.com", ["read:accounts:/sandbox"]);
    await staff("other@example.com", ["read:accounts"]);
    const open = async (email: string) => {
      const browser = openSurfer(latchkey);
      expect((await browser.visit(page)).html).not.toContain("reader@example.com");
      const waiting = await browser.act(await browser.visit(page, {}), "identify", { identifier: email });
      const code = (await inbox(at, email))[0]?.verification_code ?? "";
      return browser.act(waiting, "code", { code });
    };
    const shown = await open("reader@example.com");
    expect(shown.url).toBe(page);
    expect(shown.html).toContain("<summary><span>reader@example.com</span>");
    expect((await open("other@example.com")).html).not.toContain("<summary>");
    const customer = await openSurfer(latchkey).visit(`${tenant.issuer}/sandbox`);
    expect(customer.html).not.toContain("<summary>");
    const production = await createTenant(latchkey, { account_id: newAccountId("P") });
    expect((await openSurfer(latchkey).visit(`${production.issuer}/sandbox`)).status).toBe(404);
    expect(own.id).toBeTruthy();
  });

  it("keeps five sends an hour for a browser that knows the person, whatever others spend", async () => {
    const { email } = await addUser(latchkey, tenant.account_id);
    const own = openSurfer(latchkey);
    await own.logIn(address(), tenant, email);
    const ask = async (surfer: ReturnType<typeof openSurfer>) => {
      const page = await surfer.visit(address(client, { prompt: "login" }));
      return (await surfer.act(page, "identify", { identifier: email })).html;
    };
    for (let n = 0; n < 5; n++) await ask(openSurfer(latchkey));
    expect(await ask(openSurfer(latchkey))).toContain("Too many requests");
    expect(await ask(own)).not.toContain("Too many requests");
  });

  it("sends browsers that nobody knows longer codes while many people are guessed at", async () => {
    const at = await createTenant(latchkey, { settings: { spray_guess_limit: 20 } });
    const own = await addClient(latchkey, at.account_id, { first_party: true });
    const regular = openSurfer(latchkey);
    await regular.logIn(address(own, {}, at), at);
    for (let n = 0; n < 20; n++) {
      const victim = await addUser(latchkey, at.account_id);
      const surfer = openSurfer(latchkey);
      const page = await surfer.visit(address(own, {}, at));
      const waiting = await surfer.act(page, "identify", { identifier: victim.email });
      const right = (await inbox(at, victim.email))[0]?.verification_code;
      await surfer.act(waiting, "code", { code: right === "000000" ? "000001" : "000000" });
    }
    const codeFor = async (surfer: ReturnType<typeof openSurfer>, email: string) => {
      const page = await surfer.visit(address(own, { prompt: "login" }, at));
      await surfer.act(page, "identify", { identifier: email });
      return (await inbox(at, email))[0]?.verification_code ?? "";
    };
    const { email } = await addUser(latchkey, at.account_id);
    expect(await codeFor(openSurfer(latchkey), email)).toMatch(/^[0-9A-Z]{5}-[0-9A-Z]{5}$/);
    expect(await codeFor(regular, at.user.email)).toMatch(/^[0-9]{6}$/);
  });
});
