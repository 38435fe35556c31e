/** Clients of before keep the one refresh token of a login, where their `rotate_refresh_tokens` is false. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { carryOut } from "../../src/cli/import/carry-out.ts";
import { readPlan } from "../../src/cli/import/read-plan.ts";
import { type HotStatement, instant } from "../../src/storage/storage.ts";
import { claimsOf } from "../support/claims.ts";
import { openKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  newAccountId,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { pkce, standardClient, VERIFIER } from "../support/standard-client.ts";
import { letPass } from "../support/time.ts";

const HOURS = 3_600;

describeOnBothEngines("a refresh token that its client keeps", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const keeping = () => createTenant(latchkey, { client: { rotate_refresh_tokens: false } });
  const logIn = async (own: Tenant, audience = own.issuer) => {
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: own.user.id, audience };
    const { body, text } = await token(own, { ...about, verification_code: await mintCode(own, { audience }) });
    expect(body.refresh_token, text).toBeTruthy();
    return body as { readonly access_token: string; readonly refresh_token: string };
  };
  const refresh = (own: Tenant, refresh_token: string, bearer = own.token) =>
    token(own, { grant_type: "refresh_token", refresh_token }, bearer);
  const set = async (own: Tenant, json: object, id = own.client.id) => {
    const changed = await call(`${own.base}/auth/clients/${id}`, { method: "PATCH", token: own.token, json });
    expect(changed.status, changed.text).toBe(200);
  };
  const isGood = async (own: Tenant, bearer: string) => {
    const json = { redirect_uri: CALLBACK };
    return (await call(`${own.base}/auth/redirect`, { method: "POST", token: bearer, json })).status === 302;
  };
  const familyOf = (access_token: string) =>
    latchkey.server.core.storage.read
      .selectFrom("refresh_families")
      .selectAll()
      .where("id", "=", claimsOf(access_token).sid)
      .executeTakeFirstOrThrow();
  const wait = (own: Tenant, seconds: number) => letPass(latchkey, "refresh_families", own.account_id, seconds);
  const change = (id: string, values: object) =>
    latchkey.server.core.storage.write(async ({ db }) => {
      await db.updateTable("refresh_families").set(values).where("id", "=", id).execute();
    });

  it("works unchanged for a client that is imported with that setting, however often and for how many at once", async () => {
    const { core } = latchkey.server;
    const account_id = newAccountId();
    const base = `${latchkey.url}/v1/accounts/${account_id}`;
    const audience = `${latchkey.config.public_url}/v1/accounts/${account_id}`;
    const own = { client_id: "ecom-123", client_secret: randomBytes(32).toString("base64url") };
    const file = {
      account: { account_id, name: "Shop", settings: { signing_alg: "RS256" } },
      clients: [
        {
          ...own,
          settings: { callbacks: [CALLBACK], rotate_refresh_tokens: false },
          grants: [{ audience, scope: ["admin:accounts", "create:accounts:auth:refresh_token"] }],
        },
      ],
      users: [{ email: "grace@example.com", customer_id: "99919" }],
    };
    await carryOut(core, await readPlan(file, core.directory.public_url, core.directory), () => undefined);
    const headers = { authorization: basic(own) };
    const ask = (path: string, json: object, bearer?: string) =>
      call(`${base}/auth/${path}`, { method: "POST", json, ...(bearer ? { token: bearer } : { headers }) });
    const bearer = (await ask("token", { grant_type: "client_credentials", audience })).body.access_token;
    const about = { client_id: own.client_id, audience, email: "grace@example.com", connection: "email" };
    expect((await ask("passwordless", about, bearer)).status).toBe(204);
    const [mail] = (await call(`${base}/sandbox/messages`, { token: bearer })).body;
    const shown = { ident_type: "email", ident: about.email, verification_code: mail.verification_code };
    const first = await ask("token", { grant_type: "authorization_code", audience, ...shown }, bearer);
    const { access_token, refresh_token } = first.body;
    expect(refresh_token, first.text).toBeTruthy();
    const renew = () => ask("token", { grant_type: "refresh_token", refresh_token }, bearer);
    const before = await familyOf(access_token);
    for (const _day of [1, 2, 3]) {
      const renewed = await renew();
      expect([renewed.status, renewed.body.refresh_token], renewed.text).toEqual([200, refresh_token]);
      await letPass(latchkey, "refresh_families", account_id, 24 * HOURS);
    }
    const together = await Promise.all(Array.from({ length: 8 }, renew));
    expect(together.map(({ status }) => status)).toEqual(together.map(() => 200));
    expect(new Set(together.map(({ body }) => body.refresh_token))).toEqual(new Set([refresh_token]));
    expect(new Set(together.map(({ body }) => claimsOf(body.access_token).jti)).size).toBe(8);
    for (const one of [access_token, ...together.map(({ body }) => body.access_token)])
      expect(await isGood({ base } as Tenant, one)).toBe(true);
    const after = await familyOf(access_token);
    expect([after.generation, after.digest].map(String)).toEqual([before.generation, before.digest].map(String));
    expect(Date.parse(after.idle_expires_at) - Date.parse(after.expires_at), "idle time is prolonged").toBeGreaterThan(
      Date.parse(before.idle_expires_at) - Date.parse(before.expires_at) + 71 * HOURS * 1000,
    );
    expect(Date.parse(before.expires_at) - Date.parse(after.expires_at), "the end is not").toBe(72 * HOURS * 1000);
  });

  it("is kept at oauth/token too, by whoever shows a secret, and bound to the key that it was bound to", async () => {
    const tenant = await createTenant(latchkey);
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const settings = { first_party: true, grant_types: [...grant_types] };
    const client = await addClient(latchkey, tenant.account_id, { ...settings, rotate_refresh_tokens: false });
    const standard = standardClient(latchkey, tenant, client);
    const login = (await standard.redeem(await standard.codeFor(client, { scope: "openid offline_access" }))).body;
    const renew = () => standard.token({ grant_type: "refresh_token", refresh_token: login.refresh_token });
    for (const _time of [1, 2]) {
      const renewed = await renew();
      expect([renewed.status, renewed.body.refresh_token], renewed.text).toEqual([200, login.refresh_token]);
      expect(renewed.body.id_token).toBeTruthy();
      await wait(tenant, HOURS);
    }
    const key = await openKey(tenant.issuer);
    await change(claimsOf(login.access_token).sid, { dpop_jkt: "another" });
    expect((await renew()).body.error, "without its key").toBe("invalid_grant");
    const prove = async (nonce?: string) =>
      call(`${tenant.base}/oauth/token`, {
        method: "POST",
        headers: { authorization: basic(client), dpop: await key.proof(nonce ? { nonce } : {}) },
        form: { grant_type: "refresh_token", refresh_token: login.refresh_token },
      });
    const nonce = (await prove()).headers.get("dpop-nonce") ?? undefined;
    expect((await prove(nonce)).body.error, "by another key").toBe("invalid_grant");
  });

  it("ends as others do: idle, at its time, revoked, with its client's right and by another client's use", async () => {
    for (const column of ["idle_expires_at", "expires_at"]) {
      const own = await keeping();
      const { access_token, refresh_token } = await logIn(own);
      expect((await refresh(own, refresh_token)).status).toBe(200);
      await change(claimsOf(access_token).sid, { [column]: instant(Date.now() - 1_000) });
      expect(code(await refresh(own, refresh_token)), column).toEqual([400, "invalid_grant"]);
    }
    const own = await keeping();
    const revoked = await logIn(own);
    const renewed = (await refresh(own, revoked.refresh_token)).body.access_token;
    const json = { token: revoked.refresh_token };
    expect((await call(`${own.base}/auth/revoke`, { method: "POST", token: own.token, json })).status).toBe(200);
    expect(code(await refresh(own, revoked.refresh_token))).toEqual([400, "invalid_grant"]);
    expect(await isGood(own, renewed)).toBe(false);

    const stolen = await logIn(own);
    const { access_token } = (await refresh(own, stolen.refresh_token)).body;
    const other = await addClient(latchkey, own.account_id, { rotate_refresh_tokens: false });
    await addGrant(latchkey, own.account_id, other, own.issuer, ["admin:accounts"]);
    const stranger = await tokenOf(latchkey, own.account_id, other);
    expect(code(await refresh(own, stolen.refresh_token, stranger))).toEqual([400, "invalid_grant"]);
    expect(code(await refresh(own, stolen.refresh_token))).toEqual([400, "invalid_grant"]);
    expect(await isGood(own, access_token)).toBe(false);
  });

  it("rotates at its next use once the setting is gone, and a second use of it is theft again", async () => {
    const own = await keeping();
    const { refresh_token: kept } = await logIn(own);
    await refresh(own, kept);
    await set(own, { rotate_refresh_tokens: true });
    const next = (await refresh(own, kept)).body;
    expect(next.refresh_token).not.toBe(kept);
    await wait(own, 20);
    expect(code(await refresh(own, kept))).toEqual([400, "invalid_grant"]);
    expect(code(await refresh(own, next.refresh_token))).toEqual([400, "invalid_grant"]);
  });

  it("is no answer to the token before it, once it was shown itself", async () => {
    const own = await createTenant(latchkey);
    const { refresh_token: first } = await logIn(own);
    const { refresh_token: second, access_token } = (await refresh(own, first)).body;
    // However slow this is, its answer may have been lost a moment ago.
    await change(claimsOf(access_token).sid, { rotated_at: instant(Date.now() + 60_000) });
    await set(own, { rotate_refresh_tokens: false });
    const renewed = await refresh(own, second);
    expect([renewed.status, renewed.body.refresh_token], renewed.text).toEqual([200, second]);
    await change(claimsOf(access_token).sid, { rotated_at: instant(Date.now() + 60_000) });
    expect(code(await refresh(own, first))).toEqual([400, "invalid_grant"]);
    expect(code(await refresh(own, second))).toEqual([400, "invalid_grant"]);
    expect(await isGood(own, renewed.body.access_token)).toBe(false);
  });

  it("rotates where a person's token shows it, which says nothing of the client", async () => {
    const own = await keeping();
    const { access_token, refresh_token } = await logIn(own);
    const renewed = await refresh(own, refresh_token, access_token);
    expect(renewed.status, renewed.text).toBe(200);
    expect(renewed.body.refresh_token).not.toBe(refresh_token);
    expect((await refresh(own, renewed.body.refresh_token)).body.refresh_token).toBe(renewed.body.refresh_token);
  });

  it("stays as it was where a refresh is refused, and so does one that took its place meanwhile", async () => {
    const own = await keeping();
    const { access_token, refresh_token } = await logIn(own);
    await set(own, { user_type: "company" });
    expect(code(await refresh(own, refresh_token))).toEqual([400, "invalid_grant"]);
    await set(own, { user_type: "customer" });
    expect((await refresh(own, refresh_token)).body.refresh_token).toBe(refresh_token);

    await set(own, { user_type: "company" });
    const { storage } = latchkey.server.core.directory;
    const hot = storage.hot.bind(storage);
    const meanwhile = vi
      .spyOn(storage, "hot")
      .mockImplementation(async <I, O>(statement: HotStatement<I, O>, input: I) => {
        const answer = await hot(statement, input);
        if (statement.name === "rotate_refresh_token") await hot(statement, { ...input, generations: 1 });
        return answer;
      });
    expect(code(await refresh(own, refresh_token))).toEqual([400, "invalid_grant"]);
    meanwhile.mockRestore();
    expect(Number((await familyOf(access_token)).generation)).toBe(1);
  });

  it("is for clients with a secret or key: a public one takes no such setting, and rotates with it", async () => {
    const own = await createTenant(latchkey);
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const settings = { first_party: true, grant_types: [...grant_types], rotate_refresh_tokens: false };
    const made = { ...settings, token_endpoint_auth_method: "none" };
    const refused = await call(`${own.base}/auth/clients`, { method: "POST", token: own.token, json: made });
    expect(code(refused)).toEqual([400, "invalid_request"]);
    expect(refused.text).toContain("rotate_refresh_tokens must be true for a public client");
    const client = await addClient(latchkey, own.account_id, settings);
    const standard = standardClient(latchkey, own, client);
    const login = async () => {
      const asked = await standard.codeFor(client, { scope: "openid offline_access", ...pkce });
      return (await standard.redeem(asked, client, { code_verifier: VERIFIER })).body.refresh_token as string;
    };
    const kept = await login();
    await set(own, { token_endpoint_auth_method: "none" }, client.id);
    const form = { grant_type: "refresh_token", client_id: client.client_id };
    const renewed = await standard.token({ ...form, refresh_token: kept }, null);
    expect(renewed.status, renewed.text).toBe(200);
    expect(renewed.body.refresh_token).not.toBe(kept);
    const path = `${own.base}/auth/clients/${client.id}`;
    const again = await call(path, { method: "PATCH", token: own.token, json: { rotate_refresh_tokens: false } });
    expect(code(again)).toEqual([400, "invalid_request"]);
    await set(own, { description: "goes on" }, client.id);
  });
});
