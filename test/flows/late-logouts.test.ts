/** Whoever logs out or takes back consent late ends as much as whoever does it at once. */
import { generateKeyPairSync } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { browserSweeps } from "../../src/authentication/sessions/session.ts";
import { familySweep } from "../../src/oauth/refresh/sweep.ts";
import { reveal } from "../../src/secrets/secret.ts";
import { signJws } from "../../src/tokens/jws.ts";
import { signingKey } from "../../src/tokens/keys/find-key.ts";
import { rotateKey } from "../../src/tokens/keys/rotate-key.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const DAY = 86_400;
const BYE = "https://shop.example/bye";
const OUT = "You are logged out";
const LASTING = { scope: "openid offline_access" };

describeOnBothEngines("late", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  let listener: Receiver;
  beforeAll(async () => {
    listener = await openReceiver();
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey, { settings: { session_lifetime: 10 * DAY, session_idle_lifetime: DAY } });
    own = await addOwn();
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(async () => {
    await latchkey.close();
    await listener.close();
  });

  const lasting: Parameters<typeof addClient>[2] = { grant_types: ["authorization_code", "refresh_token"] };
  const addOwn = (settings: object = {}) =>
    addClient(latchkey, tenant.account_id, { ...lasting, first_party: true, ...settings });
  const logIn = async (surfer: Surfer, email: string, client = own, more: Record<string, string> = LASTING) => {
    const shown = await surfer.logIn(standard.address(client, more), tenant, email);
    return (await standard.redeem(answered(shown).get("code") ?? "", client)).body;
  };
  const silently = async (surfer: Surfer, client = own, more: Record<string, string> = {}) =>
    answered(await surfer.visit(standard.address(client, { ...LASTING, prompt: "none", ...more })));
  const refresh = async (refresh_token: string, client = own) => {
    const { status } = await standard.token({ grant_type: "refresh_token", refresh_token }, client);
    return status;
  };
  const isActive = async (token: string, client = own) => {
    const headers = { authorization: basic(client) };
    return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token } })).body.active;
  };
  const endpoint = () => `${tenant.issuer}/oauth/logout`;
  const logOut = (surfer: Surfer, query: Record<string, string> = {}) =>
    surfer.visit(`${endpoint()}?${new URLSearchParams(query)}`);
  const sayYes = (surfer: Surfer, form: Record<string, string> = {}) =>
    surfer.visit(endpoint(), { ...form, confirm: "yes" });
  const lieIdle = (seconds = 2 * DAY) => letPass(latchkey, "sessions", tenant.account_id, seconds, ["idle_expires_at"]);

  /** `seconds` pass for sessions and what they led to, and the janitor comes round. */
  const outlive = async (seconds: number) => {
    for (const table of ["sessions", "session_authorizations"] as const)
      await letPass(latchkey, table, tenant.account_id, seconds);
    for (const { sweep } of [...browserSweeps, familySweep]) await sweep(latchkey.server.core.storage, 500);
  };
  const takeBack = async (user_id: string, client: TestClient) => {
    const consent = `${tenant.base}/customers/users/${user_id}/consents/${client.id}`;
    expect((await call(consent, { method: "DELETE", token: tenant.token })).status).toBe(204);
  };

  it("taking back consent ends refresh tokens whose session is long gone, and nobody else's", async () => {
    const [third, fourth] = [
      await addClient(latchkey, tenant.account_id, lasting),
      await addClient(latchkey, tenant.account_id, lasting),
    ];
    const [user, other] = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    const once = await logIn(openSurfer(latchkey), user.email, third);
    const kept = [
      [await logIn(openSurfer(latchkey), user.email, fourth), fourth],
      [await logIn(openSurfer(latchkey), other.email, third), third],
    ] as const;
    await outlive(20 * DAY);
    const left = await latchkey.server.core.storage.read
      .selectFrom("session_authorizations")
      .select("sid")
      .where("account_id", "=", tenant.account_id)
      .execute();
    expect(left).toEqual([]);
    await takeBack(user.id, third);
    expect([await refresh(once.refresh_token, third), await isActive(once.access_token, third)]).toEqual([400, false]);
    for (const [{ refresh_token }, client] of kept) expect(await refresh(refresh_token, client)).toBe(200);
  });

  it("taking back consent ends what a client has of when it was the account's own, and nobody was asked", async () => {
    const former = await addOwn();
    const user = await addUser(latchkey, tenant.account_id);
    const { refresh_token, access_token } = await logIn(openSurfer(latchkey), user.email, former);
    const path = `${tenant.base}/customers/users/${user.id}/consents/${former.id}`;
    const status = async () => (await call(path, { method: "DELETE", token: tenant.token })).status;
    expect([await status(), await isActive(access_token, former)], "the account's own").toEqual([404, true]);
    const json = { first_party: false };
    await call(`${tenant.base}/auth/clients/${former.id}`, { method: "PATCH", token: tenant.token, json });
    await takeBack(user.id, former);
    expect([await refresh(refresh_token, former), await isActive(access_token, former)]).toEqual([400, false]);
    expect(await status(), "nothing is left").toBe(404);
  });

  it("taking back consent ends access tokens that outlive their session or their refresh tokens", async () => {
    const third = await addClient(latchkey, tenant.account_id, lasting);
    const [user, other] = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    const alone = await logIn(openSurfer(latchkey), user.email, third, { scope: "openid" });
    expect(alone.refresh_token).toBeUndefined();
    await outlive(10 * DAY + 3_600);
    await takeBack(user.id, third);
    expect(await isActive(alone.access_token, third), "beyond its session").toBe(false);
    const beside = await logIn(openSurfer(latchkey), other.email, third);
    await letPass(latchkey, "refresh_families", tenant.account_id, 90 * DAY + 3_600, ["expires_at"]);
    await outlive(20 * DAY);
    await takeBack(other.id, third);
    expect(await isActive(beside.access_token, third), "beyond its refresh tokens").toBe(false);
  });

  it("a logout ends what an idle session led to, and tells the clients", async () => {
    const telling = { backchannel_logout_uri: `${listener.url}/bye` };
    const [one, two] = [await addOwn(telling), await addOwn(telling)];
    for (const columns of [["idle_expires_at"], ["idle_expires_at", "expires_at"]] as const) {
      const surfer = openSurfer(latchkey);
      const email = await standard.someone();
      const first = await logIn(surfer, email, one);
      const code = (await silently(surfer, two)).get("code") ?? "";
      const second = (await standard.redeem(code, two)).body;
      await letPass(latchkey, "sessions", tenant.account_id, 11 * DAY, columns);
      expect((await silently(surfer, one)).get("error")).toBe("login_required");
      const heard = listener.all.length;
      expect((await logOut(surfer, { id_token_hint: first.id_token })).html).toContain(OUT);
      expect([await refresh(first.refresh_token, one), await refresh(second.refresh_token, two)]).toEqual([400, 400]);
      await expect.poll(() => listener.all.length, { timeout: 10_000 }).toBe(heard + 2);
      expect((await silently(surfer, one)).get("error"), "nothing is revived").toBe("login_required");
    }
  }, 60_000);

  it("a logout reads a client's settings once, however many logins its session led to", async () => {
    const { storage } = latchkey.server.core;
    const { account_id } = tenant;
    const marked = await addOwn({ backchannel_logout_uri: `${listener.url}/marked` });
    const surfer = openSurfer(latchkey);
    const { id_token, refresh_token } = await logIn(surfer, await standard.someone(), marked);
    const authorizations = storage.read.selectFrom("session_authorizations").where("account_id", "=", account_id);
    const led = await authorizations.selectAll().where("client_id", "=", marked.id).executeTakeFirstOrThrow();
    const silent = Array.from({ length: 50 }, (_, index) => ({ ...led, sid: `${led.sid}-${index}` }));
    await storage.write((tx) => tx.db.insertInto("session_authorizations").values(silent).execute());
    const heard = listener.all.length;
    const parsing = vi.spyOn(JSON, "parse");
    expect((await logOut(surfer, { id_token_hint: id_token })).html).toContain(OUT);
    const read = parsing.mock.calls.filter(([text]) => String(text).includes(`${listener.url}/marked`)).length;
    parsing.mockRestore();
    expect(read, "at the page, at the deed, at the message").toBeLessThan(10);
    expect(await refresh(refresh_token, marked)).toBe(400);
    const { revocations } = latchkey.server.core.directory;
    for (const { sid } of silent) expect(revocations.knows(account_id, `sid:${sid}`)).toBe(true);
    await expect.poll(() => listener.all.length, { timeout: 10_000 }).toBe(heard + 1);
  });

  it("a logout without an ID token asks about an idle session, and ends it after a yes", async () => {
    const surfer = openSurfer(latchkey);
    const { refresh_token } = await logIn(surfer, await standard.someone());
    await lieIdle();
    const asked = await logOut(surfer);
    expect(asked.html).not.toContain(OUT);
    expect(asked.html).toContain('name="confirm"');
    expect((await sayYes(surfer)).html).toContain(OUT);
    expect(await refresh(refresh_token)).toBe(400);
    expect((await logOut(surfer)).html).toContain(OUT);
  });

  it("a logout ends all sessions of its person in this browser, and leaves other people's and other browsers'", async () => {
    for (const hint of ["older", "newer"] as const) {
      const surfer = openSurfer(latchkey);
      const [email, another] = [await standard.someone(), await standard.someone()];
      const older = await logIn(surfer, email);
      const elsewhere = await logIn(openSurfer(latchkey), email);
      await lieIdle();
      const newer = await logIn(surfer, email);
      const beside = await logIn(surfer, another, own, { ...LASTING, prompt: "login" });
      expect((await logOut(surfer, { id_token_hint: { older, newer }[hint].id_token })).html).toContain(OUT);
      expect([await refresh(older.refresh_token), await refresh(newer.refresh_token)], hint).toEqual([400, 400]);
      expect([await refresh(elsewhere.refresh_token), await refresh(beside.refresh_token)]).toEqual([200, 200]);
      expect((await logOut(surfer, { id_token_hint: elsewhere.id_token })).html, "asked").toContain('name="confirm"');
    }
  });

  const loseKeys = async () => {
    const { tokens, storage } = latchkey.server.core;
    const rotation = { publication_lead: 0, longest_lifetime: 0, immediately: true };
    await rotateKey(tokens, tenant.account_id, "RS256", rotation, storage.now());
    await new Promise((resolve) => setTimeout(resolve, 5));
  };

  it("an ID token whose key is gone logs nobody out unasked, and leads nowhere by itself", async () => {
    const shop = await addOwn({ post_logout_redirect_uris: [BYE] });
    const surfer = openSurfer(latchkey);
    const { id_token, refresh_token } = await logIn(surfer, await standard.someone(), shop);
    await loseKeys();
    const hint = { id_token_hint: id_token, post_logout_redirect_uri: BYE };
    const asked = await logOut(surfer, hint);
    expect([asked.status, asked.html.includes('name="confirm"'), asked.html.includes(OUT)]).toEqual([200, true, false]);
    expect(await isActive(refresh_token, shop)).toBe(true);
    const unnamed = await logOut(openSurfer(latchkey), hint);
    expect([unnamed.status, unnamed.url.startsWith(endpoint())]).toEqual([400, true]);
    const named = { ...hint, client_id: shop.client_id };
    expect((await logOut(surfer, named)).html, "asked all the same").toContain('name="confirm"');
    expect((await sayYes(surfer, named)).url).toBe(BYE);
    expect(await isActive(refresh_token, shop)).toBe(false);
  });

  it("an ID token that was posted is in no address, and means whom it means for ten minutes", async () => {
    const { storage } = latchkey.server.core;
    const shop = await addOwn({ post_logout_redirect_uris: [BYE] });
    const post = async (form: Record<string, string>) => {
      const sent = await call(`${tenant.base}/oauth/logout`, { method: "POST", form });
      return { status: sent.status, location: sent.headers.get("location") ?? "" };
    };
    const asks = async (surfer: Surfer, location: string) =>
      (await surfer.visit(location)).html.includes('name="confirm"');
    const surfer = openSurfer(latchkey);
    const email = await standard.someone();
    const elsewhere = await logIn(openSurfer(latchkey), await standard.someone(), shop);
    const { id_token } = await logIn(surfer, email, shop);
    const hint = { id_token_hint: id_token, logout_hint: email, post_logout_redirect_uri: BYE, state: "s" };
    const { location } = await post(hint);
    for (const kept of [id_token, id_token.split(".")[1], email, encodeURIComponent(email)])
      expect(location).not.toContain(kept);
    const other = await createTenant(latchkey);
    const abroad = location.replace(tenant.account_id, other.account_id);
    expect((await surfer.visit(abroad)).html, "at another account").toContain(OUT);
    const clock = vi.spyOn(storage, "now").mockReturnValue(storage.now() + 601_000);
    expect(await asks(surfer, location), "later").toBe(true);
    clock.mockRestore();
    expect(await asks(surfer, location.replace(/posted_hint=.{9}/, "posted_hint=")), "made up").toBe(true);
    const theirs = await post({ ...hint, id_token_hint: elsewhere.id_token });
    const asked = await surfer.visit(theirs.location);
    expect(asked.html, "somebody else's").toContain('name="confirm"');
    const hidden = [...asked.html.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g)];
    expect(hidden.map(([, name]) => name)).toEqual(["posted_hint", "post_logout_redirect_uri", "state"]);
    expect((await surfer.visit(location)).url, "at once").toBe(`${BYE}?state=s`);
    expect((await silently(surfer, shop)).get("error")).toBe("login_required");
    const again = await logIn(surfer, email, shop);
    expect(again.id_token).toBeTruthy();
    const fields = Object.fromEntries(hidden.map(([, name = "", value = ""]) => [name, value]));
    expect((await sayYes(surfer, fields)).url, "its client says where to").toBe(`${BYE}?state=s`);
    expect((await post({ ...hint, id_token_hint: "x.y.z" })).status).toBe(400);
  });

  it("what is no ID token of this issuer stays refused at the logout, whatever key it names", async () => {
    const { tokens, storage } = latchkey.server.core;
    const surfer = openSurfer(latchkey);
    const { id_token } = await logIn(surfer, await standard.someone());
    const key = await signingKey(tokens, tenant.account_id, "RS256", storage.now());
    const about = { iss: tenant.issuer, sub: "somebody", exp: Math.floor(storage.now() / 1000) + 600 };
    const gone = { ...key, kid: "gone", private_key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey };
    const none = [`${id_token.slice(0, -8)}AAAAAAAA`, "x.y.z"];
    for (const by of [key, gone]) {
      none.push(reveal(await signJws(by, "JWT", { ...about, iss: "https://other.example" })));
      none.push(reveal(await signJws(by, "JWT", { iss: tenant.issuer })));
      none.push(reveal(await signJws(by, "at+jwt", about)));
    }
    for (const hint of none) expect((await logOut(surfer, { id_token_hint: hint })).status, hint).toBe(400);
    const unknown = reveal(await signJws(gone, "JWT", about));
    expect((await logOut(surfer, { id_token_hint: unknown })).html).toContain('name="confirm"');
  });

  it("an ID token whose key is gone names nobody to oauth/authorize", async () => {
    const surfer = openSurfer(latchkey);
    const { id_token: id_token_hint } = await logIn(surfer, await standard.someone());
    expect((await silently(surfer, own, { id_token_hint })).get("code")).toBeTruthy();
    await loseKeys();
    expect((await silently(surfer, own, { id_token_hint })).get("error")).toBe("login_required");
    const form = { ...LASTING, id_token_hint, redirect_uri: CALLBACK, response_type: "code", prompt: "none" };
    const headers = { authorization: basic(own) };
    const pushed = await call(`${tenant.base}/oauth/par`, { method: "POST", headers, form });
    expect(pushed.status, pushed.text).toBe(201);
    const query = { client_id: own.client_id, request_uri: pushed.body.request_uri };
    const brought = await surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(query)}`);
    expect(answered(brought).get("error")).toBe("login_required");
    expect(answered(await surfer.visit(standard.address(own, { id_token_hint }))).get("code")).toBeTruthy();
    const claims = JSON.stringify({ id_token: { sub: { value: "00000000-0000-4000-8000-000000000000" } } });
    const other = await surfer.visit(standard.address(own, { id_token_hint, claims }));
    expect(other.html, "a sub that is asked for still counts").toContain('value="identify"');
  });
});
