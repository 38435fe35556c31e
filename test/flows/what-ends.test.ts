/** What ends ends whole, and at once: sessions, consents and codes, also while somebody is using them. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { AuthenticatedSubject } from "../../src/authentication/subject.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { logBrowserIn } from "../../src/oauth/browser/log-browser-in.ts";
import { openRequest, saveProgress } from "../../src/oauth/browser/open-request.ts";
import type { Oauth } from "../../src/oauth/oauth.ts";
import { sha256 } from "../../src/secrets/digest.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";

const DONE = "This login is done";

describeOnBothEngines("what ends", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let first: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    first = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: ["authorization_code", "refresh_token"],
    });
    standard = standardClient(latchkey, tenant, first);
  });
  afterAll(() => latchkey.close());

  it("ends what a code led to that is redeemed twice at once, its refresh token too", async () => {
    for (let round = 0; round < 8; round++) {
      const code = await standard.codeFor(first, { scope: "openid offline_access" });
      const all = await Promise.all([standard.redeem(code), standard.redeem(code), standard.redeem(code)]);
      const given = all.flatMap(({ body }) => body.refresh_token ?? []);
      expect(given.length, "of three").toBeLessThan(2);
      const headers = { authorization: basic(first) };
      for (const refresh_token of given) {
        const form = { grant_type: "refresh_token", refresh_token };
        const refreshed = await call(`${tenant.base}/oauth/token`, { method: "POST", headers, form });
        expect([refreshed.status, refreshed.body.error], `round ${round}`).toEqual([400, "invalid_grant"]);
      }
    }
  });

  const isActive = async (token: string, client = first) => {
    const headers = { authorization: basic(client) };
    return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token } })).body.active;
  };
  it("tells of no refresh token that it is good whose person or grant is gone", async () => {
    const grant = await addGrant(latchkey, tenant.account_id, first, "https://told.example", ["orders:read"]);
    const fields = { resource: "https://told.example", scope: "openid offline_access" };
    const logIn = async () => (await standard.redeem(await standard.codeFor(first, fields))).body;
    const [one, two] = [await logIn(), await logIn()];
    expect([await isActive(one.refresh_token), await isActive(two.refresh_token)]).toEqual([true, true]);
    const remove = (path: string) => call(`${tenant.base}${path}`, { method: "DELETE", token: tenant.token });
    const { sub } = claimsOf(one.access_token);
    expect((await remove(`/customers/users/${sub}`)).status).toBe(200);
    expect([await isActive(one.refresh_token), await isActive(two.refresh_token)]).toEqual([false, true]);
    expect((await remove(`/auth/client-grants/${grant}`)).status).toBe(200);
    expect(await isActive(two.refresh_token)).toBe(false);
  });

  it("ends what a code led to that comes again once its minute is over", async () => {
    const { storage } = latchkey.server.core;
    const code = await standard.codeFor();
    const unused = await standard.codeFor();
    const { access_token } = (await standard.redeem(code)).body;
    const clock = vi.spyOn(storage, "now").mockReturnValue(storage.now() + 61_000);
    try {
      for (const late of [unused, code]) expect((await standard.redeem(late)).body.error).toBe("invalid_grant");
      expect(await isActive(access_token)).toBe(false);
    } finally {
      clock.mockRestore();
    }
  });

  const logOut = (surfer: Surfer, id_token: string) =>
    surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams({ id_token_hint: id_token })}`);
  const sidOf = (jwt: string) => claimsOf(jwt).sid;

  it("ends with a password that is set anew every browser's login, what it led to and what it is about to", async () => {
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const visit = async () =>
      answered(await surfer.visit(standard.address(first, { prompt: "none" }))).get("code") ?? "";
    const begun = answered(await surfer.logIn(standard.address(), tenant, email)).get("code") ?? "";
    const { access_token } = (await standard.redeem(begun)).body;
    const silent = await visit();
    expect(await isActive(access_token)).toBe(true);
    const href = `/v1/accounts/${tenant.account_id}/customers/users/${id}`;
    const json = { username: email, password: "a new battery", links: [{ rel: "customers_user", href }] };
    const set = await call(`${tenant.base}/auth/users`, { method: "POST", token: tenant.token, json });
    expect(set.status, set.text).toBe(200);
    expect(await isActive(access_token)).toBe(false);
    expect((await standard.redeem(silent)).body.error).toBe("invalid_grant");
    expect(await visit(), "logged out").toBe("");
    const anew = answered(await surfer.logIn(standard.address(), tenant, email)).get("code") ?? "";
    expect(await isActive((await standard.redeem(anew)).body.access_token)).toBe(true);
  });

  it("ends no live token of another client, and says so, and needs no ending of what is over", async () => {
    const other = await addClient(latchkey, tenant.account_id);
    const { body } = await standard.redeem(await standard.codeFor(first, { scope: "openid offline_access" }));
    const form = { grant_type: "refresh_token", refresh_token: body.refresh_token };
    const { access_token, refresh_token } = (await standard.token(form)).body;
    const revoke = async (token: string, own = other) => {
      const options = { method: "POST", headers: { authorization: basic(own) }, form: { token } };
      const { status, body } = await call(`${tenant.base}/oauth/revoke`, options);
      return [status, body.error];
    };
    for (const live of [access_token, refresh_token]) {
      expect(await revoke(live)).toEqual([400, "invalid_grant"]);
      expect(await isActive(live)).toBe(true);
    }
    expect(await revoke(body.refresh_token), "one that was used").toEqual([200, undefined]);
    expect(await revoke(refresh_token, first)).toEqual([200, undefined]);
    for (const over of [access_token, refresh_token, `${access_token}x`, "x"])
      expect(await revoke(over)).toEqual([200, undefined]);
  });

  it("ends a token that came from an exchange with what it was exchanged for, and leaves the login", async () => {
    const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
    const add = async (settings: object, audiences: readonly string[]) => {
      const client = await addClient(latchkey, tenant.account_id, { first_party: true, ...settings });
      for (const audience of audiences) await addGrant(latchkey, tenant.account_id, client, audience, ["orders:read"]);
      return client;
    };
    const shop = await add({}, [tenant.audience]);
    const [stock, depot] = ["https://stock.example", "https://depot.example"];
    const service = await add({ grant_types: [EXCHANGE], resource_for: [tenant.audience] }, [stock, depot]);
    const code = await standard.codeFor(shop, { resource: tenant.audience });
    const login = (await standard.redeem(code, shop)).body.access_token;
    const exchange = async (subject_token: string, audience: string): Promise<string> => {
      const about = { subject_token, subject_token_type: "urn:ietf:params:oauth:token-type:access_token", audience };
      const { status, body, text } = await standard.token({ grant_type: EXCHANGE, ...about }, service);
      expect(status, text).toBe(200);
      return body.access_token;
    };
    const given = await exchange(login, stock);
    const beside = await exchange(login, stock);
    const further = await exchange(given, depot);
    const revoke = (token: string, client: TestClient) =>
      call(`${tenant.base}/oauth/revoke`, {
        method: "POST",
        headers: { authorization: basic(client) },
        form: { token },
      });
    const alive = () =>
      Promise.all([
        isActive(login, shop),
        ...[given, further, beside].map((token: string) => isActive(token, service)),
      ]);
    expect(await alive()).toEqual([true, true, true, true]);
    const { storage } = latchkey.server.core;
    const told = async () =>
      (await storage.read.selectFrom("audit_events").select("actor").where("action", "=", "auth.revoked").execute())
        .map(({ actor }) => String(actor))
        .toSorted();
    const before = await told();
    expect((await revoke(given, shop)).body.error).toBe("invalid_grant");
    expect(await told()).toEqual(before);
    expect(await alive(), "not its client").toEqual([true, true, true, true]);
    await revoke(given, service);
    expect(await told(), "by whom").toEqual([...before, service.id].toSorted());
    expect(await alive()).toEqual([true, false, false, true]);
    await revoke(login, shop);
    expect(await alive()).toEqual([false, false, false, false]);
  });

  it("goes on with a session when its person logs in again, so that logging out ends all that it ever led to", async () => {
    const surfer = openSurfer(latchkey);
    const email = await standard.someone();
    const second = await addClient(latchkey, tenant.account_id, { first_party: true });
    const once = (
      await standard.redeem(answered(await surfer.logIn(standard.address(), tenant, email)).get("code") ?? "")
    ).body;
    const again = await surfer.logIn(standard.address(second, { prompt: "login" }), tenant, email);
    const twice = (await standard.redeem(answered(again).get("code") ?? "", second)).body;
    expect(sidOf(twice.id_token)).toBe(sidOf(once.id_token));
    expect([await isActive(once.access_token), await isActive(twice.access_token, second)]).toEqual([true, true]);
    expect((await logOut(surfer, once.id_token)).html).toContain("You are logged out");
    expect([await isActive(once.access_token), await isActive(twice.access_token, second)]).toEqual([false, false]);
    expect(answered(await surfer.visit(standard.address(second, { prompt: "none" }))).get("error")).toBe(
      "login_required",
    );
    const later = await surfer.logIn(standard.address(), tenant, email);
    expect(sidOf((await standard.redeem(answered(later).get("code") ?? "")).body.id_token)).not.toBe(
      sidOf(once.id_token),
    );
  });

  it("leaves nothing of a session that ends while it is used", async () => {
    for (let round = 0; round < 5; round++) {
      const surfer = openSurfer(latchkey);
      const shown = await surfer.logIn(standard.address(), tenant, await standard.someone());
      const { id_token } = (await standard.redeem(answered(shown).get("code") ?? "")).body;
      const silent = () => surfer.visit(standard.address(first, { prompt: "none" }));
      const all = await Promise.all([silent(), silent(), silent(), logOut(surfer, id_token), silent(), silent()]);
      const codes = all.flatMap((one) => answered(one).get("code") ?? []);
      const redeemed = await Promise.all(codes.map((code) => standard.redeem(code)));
      const alive = await Promise.all(
        redeemed.map(({ status, body }) => status === 200 && isActive(body.access_token)),
      );
      expect(alive, `round ${round}`).toEqual(alive.map(() => false));
    }
  });

  it("leaves nothing of what a person takes back while it is used", async () => {
    for (let round = 0; round < 5; round++) {
      const third = await addClient(latchkey, tenant.account_id);
      const user = await addUser(latchkey, tenant.account_id);
      const surfer = openSurfer(latchkey);
      await surfer.logIn(standard.address(third), tenant, user.email);
      const silent = () => surfer.visit(standard.address(third, { prompt: "none" }));
      const consent = `${tenant.base}/customers/users/${user.id}/consents/${third.id}`;
      const takeBack = async () => void (await call(consent, { method: "DELETE", token: tenant.token }));
      const all = await Promise.all([silent(), silent(), silent(), takeBack(), silent(), silent()]);
      const codes = all.flatMap((one) => (one && answered(one).get("code")) || []);
      const redeemed = await Promise.all(codes.map((code) => standard.redeem(code, third)));
      const alive = await Promise.all(
        redeemed.map(({ status, body }) => status === 200 && isActive(body.access_token, third)),
      );
      expect(alive, `round ${round}`).toEqual(alive.map(() => false));
      expect(answered(await silent()).get("error")).toBe("consent_required");
    }
  });

  it("gives one answer to a request, however often its page is sent at once, and none to it later", async () => {
    const third = await addClient(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    await surfer.logIn(standard.address(), tenant, await standard.someone());
    const asked = await surfer.visit(standard.address(third));
    const all = await Promise.all(Array.from({ length: 5 }, () => surfer.act(asked, "allow")));
    expect(all.flatMap((one) => answered(one).get("code") ?? [])).toHaveLength(1);
    const others = all.filter((one) => !answered(one).has("code"));
    const told = (one: Shown) => answered(one).get("error") === "invalid_request" || one.html.includes(DONE);
    expect(others.map(told)).toEqual(Array(4).fill(true));
    const back = await surfer.visit(asked.url);
    expect([back.status, back.html.includes(DONE), answered(back).get("error")], "by going back").toEqual([
      200,
      true,
      null,
    ]);
    expect(back.html).toContain(`href="${new URL(CALLBACK).origin}/"`);
  });

  const sessionsOf = async (...people: readonly { readonly id: string }[]) => {
    const ids = people.map(({ id }) => id);
    const sessions = latchkey.server.core.storage.read.selectFrom("sessions").select(["user_id", "browser_digest"]);
    const rows = await sessions.where("ended_at", "is", null).where("user_id", "in", ids).execute();
    return rows.map(({ user_id, browser_digest }) => [user_id, Buffer.from(browser_digest).toString("hex")]);
  };
  const digestOf = ({ jar }: Surfer) => sha256([...jar.values()][0] ?? "");

  it("lets in one of two logins at once by one cookie, of one person or of two, and tells the other to begin again", async () => {
    const someone = () => addUser(latchkey, tenant.account_id);
    for (let round = 0; round < 4; round++) {
      const one = await someone();
      const people = [one, round % 2 === 0 ? one : await someone()];
      const surfer = openSurfer(latchkey);
      const tabs = [];
      for (const { id, email } of people) {
        const asked = await surfer.visit(standard.address());
        const waiting = await surfer.act(asked, "identify", { identifier: email });
        const [message] = await inbox(tenant, email);
        const own = openSurfer(latchkey);
        tabs.push({ id, own, send: () => own.act(waiting, "code", { code: message?.verification_code ?? "" }) });
      }
      // Each on its own, as from two browsers: the server cannot tell them apart.
      for (const { own } of tabs) for (const [name, value] of surfer.jar) own.jar.set(name, value);
      const shown = await Promise.all(tabs.map(({ send }) => send()));
      const codes = shown.map((one) => (one.status === 404 ? "" : (answered(one).get("code") ?? "")));
      expect(codes.filter(Boolean), `round ${round}`).toHaveLength(1);
      expect(shown[codes.indexOf("")]).toMatchObject({
        status: 404,
        html: expect.stringContaining("go back to the application and begin again"),
      });
      const [first, late] = codes[0] ? tabs : tabs.toReversed();
      if (!first || !late) throw new Error("there are two");
      expect(await sessionsOf(...people), "the first's own alone").toEqual([
        [first.id, Buffer.from(digestOf(first.own)).toString("hex")],
      ]);
      const silently = ({ own }: typeof first) => own.visit(standard.address(undefined, { prompt: "none" }));
      expect(answered(await silently(late)).get("error")).toBe("login_required");
      expect(answered(await silently(first)).get("code")).toBeTruthy();
    }
  });

  it("moves nobody's login to whoever shows a cookie of before it, nor keeps what they do", async () => {
    const { directory } = latchkey.server.core;
    const oauth = { directory } as Oauth;
    const [person, other] = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    const surfer = openSurfer(latchkey);
    const pages = [await surfer.visit(standard.address()), await surfer.visit(standard.address())];
    const id = new URL(pages[1]?.url ?? "").searchParams.get("request") ?? "";
    const opened = await openRequest(oauth, tenant.account_id, id, digestOf(surfer), false);
    await surfer.logIn(pages[0]?.url ?? "", tenant, person.email);
    const own = [[person.id, Buffer.from(digestOf(surfer)).toString("hex")]];
    expect(await sessionsOf(person, other)).toEqual(own);
    const now = directory.storage.now();
    const proved = { authenticated_at: now, amr: ["otp"], second_factor: false, authorization_id: "" };
    const subject = { ...proved, user_id: other.id } as unknown as AuthenticatedSubject;
    const account = await findAccount(directory, tenant.account_id);
    const gone = { code: "not_found", message: expect.stringContaining("begin again") };
    await expect(logBrowserIn(oauth, account, opened, subject, now)).rejects.toMatchObject(gone);
    await expect(saveProgress(oauth, opened.request, { problem: "invalid_grant" })).rejects.toMatchObject(gone);
    expect(await sessionsOf(person, other)).toEqual(own);
    expect(answered(await surfer.visit(pages[1]?.url ?? "")).get("code"), "in its browser").toBeTruthy();
  });

  const change = (path: string, method: string, json?: object) =>
    call(`${tenant.base}/auth/${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });

  it("sends nobody to a callback that was removed while they logged in", async () => {
    const [kept, gone] = ["https://kept.example/back", "https://gone.example/back"];
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, callbacks: [kept, gone] });
    const begun = [];
    for (const redirect_uri of [kept, gone]) {
      const surfer = openSurfer(latchkey);
      const page = await surfer.visit(standard.address(client, { redirect_uri }));
      begun.push({ page, logIn: async () => surfer.logIn(page.url, tenant, await standard.someone()) });
    }
    expect((await change(`clients/${client.client_id}`, "PATCH", { callbacks: [kept] })).status).toBe(200);
    const [stays, ended] = await Promise.all(begun.map(({ logIn }) => logIn().catch((error: Error) => error)));
    expect(stays).not.toBeInstanceOf(Error);
    expect(answered(stays as Shown).get("code")).toBeTruthy();
    expect(String(ended), "there is no page to go on with").toContain("the page has no identify");
    expect(await openSurfer(latchkey).visit(standard.address(client, { redirect_uri: gone }))).toMatchObject({
      status: 400,
    });
  });

  it("gives no code for what a grant gives no more since the login began, nor for one that is gone", async () => {
    const { client_id, ...rest } = await addClient(latchkey, tenant.account_id, { first_party: true });
    const client = { client_id, ...rest };
    const narrowed = "https://narrowed.example";
    const removed = "https://removed.example";
    const scope = ["orders:read", "orders:write"];
    const grants = [];
    for (const audience of [narrowed, removed])
      grants.push(await addGrant(latchkey, tenant.account_id, client, audience, scope));
    const begin = async (resource: string, asked: string) => {
      const surfer = openSurfer(latchkey);
      const who = await standard.someone();
      const page = await surfer.visit(standard.address(client, { resource, scope: asked }));
      const waiting = await surfer.act(page, "identify", { identifier: who });
      const [message] = await inbox(tenant, who);
      return async () => {
        const done = answered(await surfer.act(waiting, "code", { code: message?.verification_code ?? "" }));
        return done.get("error") ?? done.has("code");
      };
    };
    const asked = await Promise.all([
      begin(narrowed, "openid orders:read"),
      begin(narrowed, "openid orders:read orders:write"),
      begin(removed, "openid orders:read"),
    ]);
    expect((await change(`client-grants/${grants[0]}`, "PATCH", { scope: ["orders:read"] })).status).toBe(200);
    expect((await change(`client-grants/${grants[1]}`, "DELETE")).status).toBe(200);
    const said = [];
    for (const finish of asked) said.push(await finish());
    expect(said).toEqual([true, "invalid_scope", "invalid_target"]);
    await addGrant(latchkey, tenant.account_id, client, removed, scope);
    const begun = await begin(removed, "openid orders:read");
    expect(await begun(), "for its new grant").toBe(true);
  });

  it("takes no request that was pushed for a callback which is there no more", async () => {
    const [kept, gone] = ["https://kept.example/back", "https://gone.example/back"];
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, callbacks: [kept, gone] });
    const push = async (redirect_uri: string) => {
      const form = { response_type: "code", redirect_uri, scope: "openid" };
      const headers = { authorization: basic(client) };
      const { body } = await call(`${tenant.base}/oauth/par`, { method: "POST", headers, form });
      return { client_id: client.client_id, request_uri: String(body.request_uri) };
    };
    const pushed = [await push(kept), await push(gone)];
    expect((await change(`clients/${client.client_id}`, "PATCH", { callbacks: [kept] })).status).toBe(200);
    const status = async (fields: Record<string, string>) =>
      (await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(fields)}`)).status;
    expect(await Promise.all(pushed.map(status))).toEqual([200, 400]);
  });
});
