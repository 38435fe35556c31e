/** Refresh tokens: each works once, a stolen one ends the login, and what is revoked stops everywhere. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import type { Rotation } from "../../src/oauth/refresh/rotate-statement.ts";
import { type HotStatement, instant } from "../../src/storage/storage.ts";
import { claimsOf } from "../support/claims.ts";
import { openKey, type ProofKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { until } from "../support/smtp.ts";
import { answered, pkce, standardClient, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a refresh token", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const family = () => latchkey.server.core.storage.read.selectFrom("refresh_families").selectAll();
  /** Logs the tenant's user in. */
  const logIn = async (own = tenant, bearer = own.token) => {
    const about = {
      grant_type: "authorization_code",
      ident_type: "user_id",
      ident: own.user.id,
      audience: own.audience,
    };
    return (await token(own, { ...about, verification_code: await mintCode(own) }, bearer)).body;
  };
  const refresh = (refresh_token: string, bearer = tenant.token, own = tenant) =>
    token(own, { grant_type: "refresh_token", refresh_token }, bearer);
  /** Moves instants of a family into the past, as time would. */
  const age = async (id: string, values: object) => {
    await latchkey.server.core.storage.write(async ({ db }) => {
      await db.updateTable("refresh_families").set(values).where("id", "=", id).execute();
    });
  };
  const past = () => instant(latchkey.server.core.storage.now() - 20_000);

  it("is given where the bearer holds the scope, for a code or a password alone", async () => {
    const { refresh_token, access_token } = await logIn();
    expect(refresh_token).toMatch(/^[\w-]{70}$/);
    const person = await addPerson(latchkey, tenant.account_id);
    const about = { grant_type: "password", username: person.email, password: PASSWORD, audience: tenant.audience };
    expect((await token(tenant, about)).body.refresh_token).toBeTruthy();
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["write:accounts:/auth/users"]);
    expect((await logIn(tenant, await tokenOf(latchkey, tenant.account_id, client))).refresh_token).toBeUndefined();
    const stored = JSON.stringify(await family().execute());
    expect(stored).not.toContain(refresh_token);
    expect(stored).toContain(claimsOf(access_token).sid);
  });

  it("is another one after each use, and keeps who logged in, when and how", async () => {
    const first = await logIn();
    const second = await refresh(first.refresh_token);
    expect(second.status, second.text).toBe(200);
    expect(second.headers.get("cache-control")).toBe("no-store");
    expect(second.body.refresh_token).not.toBe(first.refresh_token);
    const [before, after] = [claimsOf(first.access_token), claimsOf(second.body.access_token)];
    for (const name of ["sub", "sid", "aud", "auth_time", "amr", "scope", "client_id"])
      expect(after[name]).toEqual(before[name]);
    expect(after.jti).not.toBe(before.jti);
    expect((await refresh(second.body.refresh_token)).status).toBe(200);
  });

  it("is answered once more when the answer was lost, within ten seconds, and then no more", async () => {
    const first = (await logIn()).refresh_token;
    const answers = await Promise.all([refresh(first), refresh(first)]);
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(answers[0]?.body.refresh_token).toBe(answers[1]?.body.refresh_token);
    expect(code(await refresh(first))).toEqual([400, "invalid_grant"]);
    expect(code(await refresh(answers[0]?.body.refresh_token))).toEqual([400, "invalid_grant"]);
  });

  it.skipIf(engine === "sqlite")(
    "is answered once more after a database that stood still, which carried it out late",
    async () => {
      const { storage } = latchkey.server.core.directory;
      const first = (await logIn()).refresh_token;
      const hot = storage.hot.bind(storage);
      const late = vi.spyOn(storage, "hot").mockImplementation(<I, O>(statement: HotStatement<I, O>, input: I) => {
        if (statement.name !== "rotate_refresh_token") return hot(statement, input);
        const { now } = input as Rotation;
        return hot(statement, { ...input, now: instant(Date.parse(now) - 20_000) });
      });
      const lost = await refresh(first);
      late.mockRestore();
      const again = await refresh(first);
      expect([again.status, again.body.refresh_token], again.text).toEqual([200, lost.body.refresh_token]);
    },
  );

  it("ends the login when it is used twice: family and access tokens", async () => {
    const own = await createTenant(latchkey);
    const account_audience = { audience: own.issuer };
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: own.user.id, ...account_audience };
    const first = (await token(own, { ...about, verification_code: await mintCode(own, account_audience) })).body;
    const second = (await refresh(first.refresh_token, own.token, own)).body;
    await age(claimsOf(first.access_token).sid, { rotated_at: past() });
    const json = { redirect_uri: "https://shop.example/callback" };
    const use = (bearer: string) => call(`${own.base}/auth/redirect`, { method: "POST", token: bearer, json });
    expect((await use(second.access_token)).status).toBe(302);
    expect(code(await refresh(first.refresh_token, own.token, own))).toEqual([400, "invalid_grant"]);
    expect(code(await refresh(second.refresh_token, own.token, own))).toEqual([400, "invalid_grant"]);
    expect((await use(second.access_token)).status).toBe(401);
    expect((await use(first.access_token)).status).toBe(401);
  });

  it("is worthless to another client, whose use of it ends the login", async () => {
    const first = await logIn();
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["admin:accounts"]);
    const stranger = await tokenOf(latchkey, tenant.account_id, client);
    expect(code(await refresh(first.refresh_token, stranger))).toEqual([400, "invalid_grant"]);
    expect(code(await refresh(first.refresh_token))).toEqual([400, "invalid_grant"]);
    const other = await createTenant(latchkey);
    const safe = await logIn();
    expect(code(await refresh(safe.refresh_token, other.token, other))).toEqual([400, "invalid_grant"]);
    expect((await refresh(safe.refresh_token)).status).toBe(200);
  });

  it("is worthless to another person of the same client, and stays good for its own", async () => {
    const own = await createTenant(latchkey);
    const other = await addPerson(latchkey, own.account_id);
    const logInAs = async (ident: string) => {
      const about = { grant_type: "authorization_code", ident_type: "user_id", ident, audience: own.issuer };
      const verification_code = await mintCode(own, { user_id: ident, audience: own.issuer });
      return (await token(own, { ...about, verification_code })).body;
    };
    const [mine, theirs] = [await logInAs(own.user.id), await logInAs(other.id)];
    expect(code(await refresh(mine.refresh_token, theirs.access_token, own))).toEqual([400, "invalid_grant"]);
    const first = await refresh(mine.refresh_token, mine.access_token, own);
    expect(first.status, first.text).toBe(200);
    expect(claimsOf(first.body.access_token).sub).toBe(own.user.id);
    expect(code(await refresh(mine.refresh_token, theirs.access_token, own)), "nor in its grace").toEqual([
      400,
      "invalid_grant",
    ]);
    expect((await refresh(first.body.refresh_token, own.token, own)).status, "its client").toBe(200);
  });

  it("ends when it lies idle, and when its time is over", async () => {
    for (const column of ["idle_expires_at", "expires_at"]) {
      const first = await logIn();
      await age(claimsOf(first.access_token).sid, { [column]: past() });
      expect(code(await refresh(first.refresh_token)), column).toEqual([400, "invalid_grant"]);
    }
  });

  it("ends with the user, the grant and the client, at once", async () => {
    const own = await createTenant(latchkey);
    const first = await logIn(own);
    await call(`${own.base}/customers/users/${own.user.id}`, { method: "DELETE", token: own.token });
    expect(code(await refresh(first.refresh_token, own.token, own))).toEqual([400, "invalid_grant"]);
    const next = await createTenant(latchkey);
    const second = await logIn(next);
    const grants = await call(`${next.base}/auth/client-grants`, {
      token: next.token,
      query: { audience: next.audience },
    });
    await call(`${next.base}/auth/client-grants/${grants.body[0].id}`, { method: "DELETE", token: next.token });
    expect(code(await refresh(second.refresh_token, next.token, next))).toEqual([400, "invalid_grant"]);
    const here = await createTenant(latchkey);
    const third = await logIn(here);
    await call(`${here.base}/auth/clients/${here.client.id}`, { method: "DELETE", token: here.token });
    expect(code(await refresh(third.refresh_token, here.token, here))).toEqual([401, "invalid_token"]);
    const elsewhere = await createTenant(latchkey);
    const fourth = await logIn(elsewhere);
    await latchkey.server.core.storage.write(async ({ db }) => {
      await db.updateTable("clients").set({ deleted_at: past() }).where("id", "=", elsewhere.client.id).execute();
    });
    // By another process: whether or not this one remembers the client still.
    const refused = code(await refresh(fourth.refresh_token, elsewhere.token, elsewhere));
    expect(["400 invalid_grant", "403 unauthorized_client"]).toContain(refused.join(" "));
  });

  it("is told from a forged one without a query", async () => {
    const { refresh_token } = await logIn();
    const flipped = (at: number) =>
      refresh_token.slice(0, at) + (refresh_token[at] === "A" ? "B" : "A") + refresh_token.slice(at + 1);
    for (const forged of [flipped(0), flipped(24), flipped(60), "", "x", `${refresh_token}A`]) {
      expect([400]).toContain((await refresh(forged)).status);
    }
    expect((await refresh(refresh_token)).status).toBe(200);
  });

  it("is revoked at auth/revoke, whose answer tells nothing, and other processes hear of it", async () => {
    const second = await startLatchkey(engine === "sqlite" ? "postgres" : engine, {
      ...(engine === "postgres" ? { database: latchkey.database } : {}),
      public_url: latchkey.config.public_url,
    });
    const revoke = (own: Tenant, body: string, bearer = own.token) =>
      call(`${own.base}/auth/revoke`, { method: "POST", token: bearer, json: { token: body } });
    const own = await createTenant(latchkey);
    const audience = own.issuer;
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: own.user.id, audience };
    const first = (await token(own, { ...about, verification_code: await mintCode(own, { audience }) })).body;
    const json = { redirect_uri: "https://shop.example/callback" };
    const use = (url: string) =>
      call(`${url}/v1/accounts/${own.account_id}/auth/redirect`, { method: "POST", token: first.access_token, json });
    if (engine === "postgres") expect((await use(second.url)).status).toBe(302);
    expect([(await revoke(own, "unknown")).status, (await revoke(own, "unknown")).body]).toEqual([200, {}]);
    expect(code(await revoke(own, first.refresh_token, tenant.token))).toEqual([401, "invalid_token"]);
    expect([(await revoke(own, first.refresh_token)).status, (await revoke(own, first.refresh_token)).body]).toEqual([
      200,
      {},
    ]);
    expect(code(await refresh(first.refresh_token, own.token, own))).toEqual([400, "invalid_grant"]);
    expect((await use(latchkey.url)).status).toBe(401);
    if (engine === "postgres") {
      await until(
        "the other process to hear of it",
        async () => ((await use(second.url)).status === 401 ? true : undefined),
        5_000,
      );
      await second.stop();
    } else await second.close();
  });

  it("of a public client is bound to the first key that it shows, also where its login showed none", async () => {
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const login = async (token_endpoint_auth_method: "none" | "client_secret_post") => {
      const settings = { first_party: true, token_endpoint_auth_method, grant_types: [...grant_types] };
      const client = await addClient(latchkey, tenant.account_id, settings);
      const { client_id, client_secret } = client;
      const ask = async (form: Record<string, string>, dpop?: string) => {
        const shown = { client_id, ...(client_secret ? { client_secret } : {}), ...form };
        const headers = dpop === undefined ? {} : { dpop };
        return call(`${tenant.base}/oauth/token`, { method: "POST", headers, form: shown });
      };
      const standard = standardClient(latchkey, tenant, client);
      const code = await standard.codeFor(client, { scope: "openid offline_access", ...pkce });
      const redeemed = { grant_type: "authorization_code", code, redirect_uri: CALLBACK, code_verifier: VERIFIER };
      const { refresh_token } = (await ask(redeemed)).body;
      const renew = async (token: string, key?: ProofKey) => {
        const form = { grant_type: "refresh_token", refresh_token: token };
        if (!key) return ask(form);
        const nonce = (await ask(form, await key.proof())).headers.get("dpop-nonce") ?? "";
        return ask(form, await key.proof({ nonce }));
      };
      return { refresh_token: refresh_token as string, renew };
    };
    const [key, other] = await Promise.all([openKey(tenant.issuer), openKey(tenant.issuer)]);
    const { refresh_token, renew } = await login("none");
    const unbound = (await renew(refresh_token)).body;
    expect(unbound.token_type).toBe("Bearer");
    const bound = (await renew(unbound.refresh_token, key)).body;
    expect(bound.token_type).toBe("DPoP");
    for (const shown of [undefined, other])
      expect((await renew(bound.refresh_token, shown)).body.error, shown && "another key").toBe("invalid_grant");
    // However slow this is, its answer may have been lost a moment ago.
    const stayRecent = () => age(claimsOf(bound.access_token).sid, { rotated_at: instant(Date.now() + 60_000) });
    await stayRecent();
    const again = await renew(unbound.refresh_token, key);
    expect(again.body.refresh_token, "a lost answer").toBe(bound.refresh_token);
    const third = await renew(bound.refresh_token, key);
    expect(third.body.token_type, third.text).toBe("DPoP");
    await stayRecent();
    expect((await renew(bound.refresh_token)).body.error, "a lost answer, without the key").toBe("invalid_grant");

    const known = await login("client_secret_post");
    const first = await known.renew(known.refresh_token, key);
    expect(first.body.token_type, first.text).toBe("DPoP");
    expect((await known.renew(first.body.refresh_token)).body.token_type, "who shows a secret").toBe("Bearer");
  });

  it("looks at what is asked for before it answers once more: whoever asks for too much spends nothing", async () => {
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [...grant_types] });
    const standard = standardClient(latchkey, tenant, client);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const fields = { resource: tenant.audience, scope: "openid offline_access orders:read" };
    const login = (await standard.redeem(await standard.codeFor(client, fields))).body;
    const renew = (more: Readonly<Record<string, string>> = {}) =>
      standard.token({ grant_type: "refresh_token", refresh_token: login.refresh_token, ...more });
    const tooMuch = async () =>
      Promise.all(
        [{ resource: "https://other.example" }, { scope: "openid phone" }].map(
          async (more) => (await renew(more)).body.error,
        ),
      );
    const refused = ["invalid_target", "invalid_scope"];
    expect(await tooMuch(), "unspent").toEqual(refused);
    const first = await renew();
    expect(first.status, first.text).toBe(200);
    // However slow this is, its answer may have been lost a moment ago.
    await age(claimsOf(login.access_token).sid, { rotated_at: instant(Date.now() + 60_000) });
    expect(await tooMuch(), "in its grace").toEqual(refused);
    const again = await renew({ resource: tenant.audience, scope: "orders:read" });
    expect([again.body.refresh_token, again.body.scope], again.text).toEqual([first.body.refresh_token, "orders:read"]);
  });

  it("is promised to nobody at a client that gets none", async () => {
    const promised = async (grant_types: ("authorization_code" | "refresh_token")[]) => {
      const client = await addClient(latchkey, tenant.account_id, { grant_types });
      const standard = standardClient(latchkey, tenant, client);
      const surfer = openSurfer(latchkey);
      const identifier = await standard.someone();
      const url = standard.address(client, { scope: "openid email offline_access" });
      const waiting = await surfer.act(await surfer.visit(url), "identify", { identifier });
      const [mail] = await inbox(tenant, identifier);
      const asking = await surfer.act(waiting, "code", { code: mail?.verification_code ?? "" });
      const answer = answered(await surfer.act(asking, "allow")).get("code") ?? "";
      const { scope, refresh_token } = (await standard.redeem(answer)).body;
      return [asking.html.includes("stay logged in while you are away"), scope, refresh_token !== undefined];
    };
    expect(await promised(["authorization_code"])).toEqual([false, "openid email", false]);
    const lasting = await promised(["authorization_code", "refresh_token"]);
    expect(lasting).toEqual([true, "openid email offline_access", true]);
  });

  it("is revoked for nobody else by a client that may do no more than renew its own", async () => {
    const grant_types = ["authorization_code", "refresh_token", "client_credentials"] as const;
    const settings = { first_party: true, grant_types: [...grant_types] };
    const client = await addClient(latchkey, tenant.account_id, settings);
    const scope = ["create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    const bearer = await tokenOf(latchkey, tenant.account_id, client);
    const revoke = (body: string) =>
      call(`${tenant.base}/auth/revoke`, { method: "POST", token: bearer, json: { token: body } });
    const { refresh_token } = await logIn();
    expect(code(await revoke(refresh_token))).toEqual([403, "insufficient_scope"]);
    expect((await refresh(refresh_token)).status).toBe(200);
    const standard = standardClient(latchkey, tenant, client);
    const own = (await standard.redeem(await standard.codeFor(client, { scope: "openid offline_access" }))).body;
    expect((await revoke(own.refresh_token)).status).toBe(200);
    const again = await standard.token({ grant_type: "refresh_token", refresh_token: own.refresh_token });
    expect([again.status, again.body.error]).toEqual([400, "invalid_grant"]);
  });
});
