/** A refresh that is refused for what is set by now spends nothing; until it is put back introspection knows no such token. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { readRefreshToken } from "../../src/oauth/refresh/family.ts";
import { unspend } from "../../src/oauth/refresh/rotate.ts";
import { secret } from "../../src/secrets/secret.ts";
import type { HotStatement, Transaction } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const LASTING = "create:accounts:auth:refresh_token";
const SCOPE = ["user:customers", "write:accounts:/auth/users"];
const FORMER = "https://former.example";

const never = (): never => {
  throw new Error("no refresh token");
};

describeOnBothEngines("a refresh that is refused by now", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const patch = async (path: string, json: object) => {
    const changed = await call(`${tenant.base}/auth/${path}`, { method: "PATCH", token: tenant.token, json });
    expect(changed.status, changed.text).toBe(200);
  };
  async function openClient(grant_types: readonly ("authorization_code" | "refresh_token" | "client_credentials")[]) {
    const settings = { first_party: true, require_pkce: false, grant_types: [...grant_types] };
    const client = await addClient(latchkey, tenant.account_id, settings);
    const grant = await addGrant(latchkey, tenant.account_id, client, tenant.issuer, [...SCOPE, LASTING]);
    return { ...client, grant };
  }
  const bearerOf = (client: TestClient) => tokenOf(latchkey, tenant.account_id, client);
  /** At the account API, where `by` asks. */
  async function logIn(client: TestClient, { audience = tenant.issuer, by = client } = {}) {
    const verification_code = await mintCode(tenant, { client_id: client.client_id, audience });
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: tenant.user.id, audience };
    const { body, text } = await token(tenant, { ...about, verification_code }, await bearerOf(by));
    expect(body.refresh_token, text).toBeTruthy();
    return body.refresh_token as string;
  }
  const refresh = async (client: TestClient, refresh_token: string) =>
    token(tenant, { grant_type: "refresh_token", refresh_token }, await bearerOf(client));
  const isActive = async (client: TestClient, shown: string) => {
    const options = { method: "POST", form: { token: shown }, headers: { authorization: basic(client) } };
    return (await call(`${tenant.base}/oauth/introspect`, options)).body.active;
  };

  it.each([
    [
      "the client logs in another type of user",
      ({ id }: TestClient, back: boolean) => patch(`clients/${id}`, { user_type: back ? "customer" : "company" }),
    ],
    [
      "the audience is no name of the grant's API",
      (_: TestClient, back: boolean) => patch("settings", { api_audiences: back ? [FORMER] : [] }),
    ],
  ])("leaves the token as it was: %s", async (_why, set) => {
    await patch("settings", { api_audiences: [FORMER] });
    const client = await openClient(["authorization_code", "refresh_token", "client_credentials"]);
    const before = await logIn(client, { audience: FORMER });
    const refresh_token = (await refresh(client, before)).body.refresh_token;
    await set(client, false);
    for (const _time of [1, 2, 3]) expect(code(await refresh(client, refresh_token))).toEqual([400, "invalid_grant"]);
    expect(await isActive(client, refresh_token), "while it is so").toBe(false);
    await set(client, true);
    expect(await isActive(client, refresh_token), "once it is put back").toBe(true);
    const next = await refresh(client, refresh_token);
    expect(next.status, next.text).toBe(200);
    expect(await isActive(client, next.body.refresh_token)).toBe(true);
  });

  it("does not bring back the token before it, whose second use is theft", async () => {
    const client = await openClient(["authorization_code", "refresh_token", "client_credentials"]);
    const before = await logIn(client);
    const refresh_token = (await refresh(client, before)).body.refresh_token;
    await patch(`clients/${client.id}`, { user_type: "company" });
    expect(code(await refresh(client, refresh_token))).toEqual([400, "invalid_grant"]);
    await patch(`clients/${client.id}`, { user_type: "customer" });
    expect(code(await refresh(client, before))).toEqual([400, "invalid_grant"]);
    expect(code(await refresh(client, refresh_token)), "the login has ended").toEqual([400, "invalid_grant"]);
  });

  /** Sends a refresh, and by `between`, before it is answered, what comes when its token was rotated. */
  async function refreshing(client: TestClient, refresh_token: string, between: () => Promise<unknown>) {
    const { storage } = latchkey.server.core.directory;
    const hot = storage.hot.bind(storage);
    const rotating = vi
      .spyOn(storage, "hot")
      .mockImplementation(async <I, O>(statement: HotStatement<I, O>, input: I) => {
        const answer = await hot(statement, input);
        if (statement.name === "rotate_refresh_token" && answer) await between();
        return answer;
      });
    return refresh(client, refresh_token).finally(() => rotating.mockRestore());
  }
  /** Resolves when the first transaction has answered a used token once more; its caller goes on with `released`. */
  async function answeredAgain(released: Promise<unknown>) {
    const { storage } = latchkey.server.core.directory;
    const write = storage.write.bind(storage);
    await new Promise<void>((resolve) => {
      const writing = vi
        .spyOn(storage, "write")
        .mockImplementation(async <T>(work: (tx: Transaction) => Promise<T>) => {
          const result = await write(work);
          if ((result as { grace_used?: number } | undefined)?.grace_used !== 1) return result;
          writing.mockRestore();
          resolve();
          await released;
          return result;
        });
    });
  }

  it("leaves the token as it was where it came twice, whichever is refused first", async () => {
    const client = await openClient(["authorization_code", "refresh_token", "client_credentials"]);
    const logins = [await logIn(client), await logIn(client)];
    await patch(`clients/${client.id}`, { user_type: "company" });
    const within = await refreshing(client, logins[0] ?? "", async () =>
      expect(code(await refresh(client, logins[0] ?? ""))).toEqual([400, "invalid_grant"]),
    );
    let second: Promise<Reply> | undefined;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    const before = await refreshing(client, logins[1] ?? "", () => {
      const again = answeredAgain(released);
      second = refresh(client, logins[1] ?? "");
      return again;
    });
    release();
    for (const reply of [within, before, await second]) expect(reply && code(reply)).toEqual([400, "invalid_grant"]);
    await patch(`clients/${client.id}`, { user_type: "customer" });
    for (const refresh_token of logins) {
      const next = await refresh(client, refresh_token);
      expect(next.status, next.text).toBe(200);
      expect((await refresh(client, next.body.refresh_token)).status).toBe(200);
    }
  });

  it("leaves the answer that was given to an earlier use, which may still be given once more", async () => {
    const client = await openClient(["authorization_code", "refresh_token", "client_credentials"]);
    const refresh_token = await logIn(client);
    const given = (await refresh(client, refresh_token)).body.refresh_token;
    await patch(`clients/${client.id}`, { user_type: "company" });
    expect(code(await refresh(client, refresh_token))).toEqual([400, "invalid_grant"]);
    await patch(`clients/${client.id}`, { user_type: "customer" });
    expect((await refresh(client, refresh_token)).body.refresh_token).toBe(given);
    expect((await refresh(client, given)).status).toBe(200);
  });

  it("takes nothing back where somebody else was answered meanwhile", async () => {
    const { directory } = latchkey.server.core;
    const { account_id } = tenant;
    const client = await openClient(["authorization_code", "refresh_token", "client_credentials"]);
    const first = await logIn(client);
    const { family_id: id, ...read } = readRefreshToken(directory.master_keys, account_id, secret(first)) ?? never();
    const spent = { account_id, id, ...read, again: false };
    const second = (await refresh(client, first)).body.refresh_token;
    expect((await refresh(client, first)).body.refresh_token, "that was lost").toBe(second);
    await unspend(directory, spent);
    const third = await refresh(client, second);
    expect(third.status, third.text).toBe(200);
    await unspend(directory, spent);
    expect((await refresh(client, third.body.refresh_token)).status).toBe(200);
  });

  it("is none that introspection calls active: the grant gives no refresh tokens", async () => {
    const client = await openClient(["authorization_code", "client_credentials"]);
    const refresh_token = await logIn(client);
    const give = (scope: readonly string[]) => patch(`client-grants/${client.grant}`, { scope });
    await give(SCOPE);
    expect(code(await refresh(client, refresh_token))).toEqual([403, "unauthorized_client"]);
    expect(await isActive(client, refresh_token)).toBe(false);
    await give([...SCOPE, LASTING]);
    expect(await isActive(client, refresh_token)).toBe(true);
  });

  it("is none that introspection calls active: the grant lets nobody act for other clients", async () => {
    const backend = await openClient(["authorization_code", "refresh_token", "client_credentials"]);
    const shop = await openClient(["authorization_code"]);
    const refresh_token = await logIn(shop, { by: backend });
    expect(await isActive(backend, refresh_token)).toBe(true);
    await patch(`client-grants/${backend.grant}`, { scope: ["user:customers", LASTING] });
    expect(code(await refresh(backend, refresh_token))).toEqual([403, "unauthorized_client"]);
    expect(await isActive(backend, refresh_token)).toBe(false);
  });

  it("is none that introspection calls active: a login of oauth/token, whose client may not refresh there", async () => {
    const client = await openClient(["authorization_code", "refresh_token", "client_credentials"]);
    const standard = standardClient(latchkey, tenant, client);
    const url = standard.address(client, { scope: "offline_access user:customers", resource: tenant.issuer });
    const shown = await openSurfer(latchkey).logIn(url, tenant, await standard.someone());
    const { refresh_token } = (await standard.redeem(answered(shown).get("code") ?? "")).body;
    expect(await isActive(client, refresh_token)).toBe(true);
    await patch(`clients/${client.id}`, { grant_types: ["authorization_code", "client_credentials"] });
    expect(code(await standard.token({ grant_type: "refresh_token", refresh_token }))[1]).toBe("unauthorized_client");
    expect(await isActive(client, refresh_token)).toBe(false);
  });
});
