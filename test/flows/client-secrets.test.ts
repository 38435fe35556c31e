/** A client's secrets: how one takes the other's place, and what is told of them. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";

describeOnBothEngines("a client's secrets", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object, token = tenant.token) =>
    call(`${tenant.base}${path}`, { method, token, ...(json ? { json } : {}) });

  const tokenStatus = async (client: TestClient, audience = tenant.issuer) => {
    const headers = { authorization: basic(client) };
    const json = { grant_type: "client_credentials", audience };
    return (await call(`${tenant.base}/auth/token`, { method: "POST", headers, json })).status;
  };

  it("rotates a secret with the overlap that was asked for", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
    const path = `/auth/clients/${client.id}/rotate-secret`;
    const first = await call(`${tenant.base}${path}?overlap_seconds=60`, { method: "POST", token: tenant.token });
    expect(await tokenStatus(client)).toBe(200);
    expect(await tokenStatus({ ...client, client_secret: first.body.client_secret })).toBe(200);
    const second = await send("POST", path);
    expect(await tokenStatus(client)).toBe(401);
    expect(await tokenStatus({ ...client, client_secret: first.body.client_secret })).toBe(401);
    expect(await tokenStatus({ ...client, client_secret: second.body.client_secret })).toBe(200);
  });

  it("are taken from the body of auth/token too, where no header shows one", async () => {
    for (const token_endpoint_auth_method of ["client_secret_basic", "client_secret_post"] as const) {
      const client = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method });
      await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
      const { client_id, client_secret } = client;
      const about = { grant_type: "client_credentials", audience: tenant.issuer };
      const ask = async (options: object) => {
        const { status, body } = await call(`${tenant.base}/auth/token`, { method: "POST", ...options });
        return body.error ? [status, body.error.code] : [status, body.token_type];
      };
      const good = [200, "Bearer"];
      const refused = [401, "invalid_client"];
      const shown = { ...about, client_id, client_secret };
      expect(await ask({ json: shown })).toEqual(good);
      expect(await ask({ form: shown })).toEqual(good);
      expect(await ask({ json: { ...shown, client_id: client.id } }), "by its uuid").toEqual(good);
      expect(await ask({ json: { ...shown, client_secret: "another" } })).toEqual(refused);
      expect(await ask({ json: { ...about, client_id } })).toEqual(refused);
      expect(await ask({ json: { ...about, client_secret } })).toEqual(refused);
      const headers = { authorization: basic(client) };
      expect(await ask({ headers, json: { ...about, client_id: "x", client_secret: "x" } }), "beside Basic").toEqual(
        good,
      );
      expect(await ask({ headers: { authorization: basic({ ...client, client_secret: "x" }) }, json: shown })).toEqual(
        refused,
      );
    }
    const open = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "none" });
    const json = { grant_type: "client_credentials", audience: tenant.issuer, client_id: open.client_id };
    expect((await call(`${tenant.base}/auth/token`, { method: "POST", json })).status, "a public client").toBe(401);
  });

  it("that are short and right let everybody in who shows one before this process knows it", async () => {
    const client = await addClient(latchkey, tenant.account_id, {}, `short-${engine}`, "s3cr3t-of-shop");
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
    const shown = { ...client, client_secret: "s3cr3t-of-shop" };
    const wrong = { ...client, client_secret: "another secret" };
    const statuses = await Promise.all(Array.from({ length: 240 }, () => tokenStatus(shown)));
    expect([...new Set(statuses)]).toEqual([200]);
    expect(await Promise.all(Array.from({ length: 5 }, () => tokenStatus(wrong)))).toEqual(Array(5).fill(401));
    expect(await tokenStatus(shown)).toBe(200);
  });

  it("lets in whoever shows one of which it cannot be noted that it was used", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
    const { storage } = latchkey.server.core;
    const noting = vi.spyOn(storage, "write").mockRejectedValue(new Error("away"));
    const status = await tokenStatus(client);
    expect(noting).toHaveBeenCalled();
    noting.mockRestore();
    expect(status).toBe(200);
  });

  it.each([
    ["that it was given", undefined],
    ["that is short", "s3cr3t-of-yore"],
  ])("are worth nothing once they end, though one %s is known here", async (_which, brought) => {
    const client = await addClient(latchkey, tenant.account_id, {}, undefined, brought);
    await send("POST", `/auth/clients/${client.id}/rotate-secret?overlap_seconds=60`);
    const introspect = async (client_secret = client.client_secret) => {
      const headers = { authorization: basic({ ...client, client_secret }) };
      return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token: "x" } })).status;
    };
    const { storage } = latchkey.server.core;
    const noted = storage.read.selectFrom("client_secrets").select("last_used_at").where("client_id", "=", client.id);
    expect(await introspect()).toBe(200);
    await expect.poll(async () => (await noted.execute()).some((row) => row.last_used_at !== null)).toBe(true);
    // They are read anew once that is acknowledged, which may be later than it can be seen.
    await storage.write(async () => {});
    expect(await introspect()).toBe(200);
    // For a second nobody looks for others.
    expect(await introspect("another")).toBe(401);
    const later = storage.now() + 61_000;
    const clock = vi.spyOn(storage, "now").mockReturnValue(later);
    expect(await introspect().finally(() => clock.mockRestore())).toBe(401);
  });

  it("shows when each secret of a client was last used and which one ends, and no secret", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
    const path = `/auth/clients/${client.id}`;
    const secrets = async (of = path) => (await send("GET", of)).body.secrets;
    const made = { id: expect.any(String), created_at: expect.stringMatching(/^20/) };
    expect(await secrets()).toEqual([made]);
    const [{ id }] = await secrets();
    const rotated = (await send("POST", `${path}/rotate-secret?overlap_seconds=60`)).body;
    const { client_secret: _, secrets: __, ...of_rotated } = rotated;
    expect((await send("GET", path)).body).toMatchObject(of_rotated);
    expect(await tokenStatus(client)).toBe(200);
    await expect.poll(async () => (await secrets())[1].last_used_at).toBeTruthy();
    const [fresh, old] = await secrets();
    expect(fresh).toEqual(made);
    expect(old).toEqual({ ...made, id, not_after: expect.any(String), last_used_at: expect.stringMatching(/^20/) });
    expect(Date.parse(old.not_after) - Date.parse(fresh.created_at)).toBe(60_000);
    expect(rotated.secrets).toEqual([fresh, { id, created_at: old.created_at, not_after: old.not_after }]);
    expect(await tokenStatus({ ...client, client_secret: rotated.client_secret })).toBe(200);
    await expect.poll(secrets).toEqual([{ ...fresh, last_used_at: expect.stringMatching(/^20/) }, old]);
    await send("POST", `${path}/rotate-secret`);
    expect(await secrets()).toEqual([{ ...made, id: expect.not.stringMatching(`${id}|${fresh.id}`) }]);
    const open = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "none" });
    expect(await secrets(`/auth/clients/${open.id}`)).toEqual([]);
    expect((await send("GET", "/auth/clients")).text).not.toContain("digest");
  });

  it("are twenty at a time, of which none ends early for another", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
    const rotate = (overlap: number) =>
      send("POST", `/auth/clients/${client.id}/rotate-secret?overlap_seconds=${overlap}`);
    for (let n = 1; n < 20; n++) expect((await rotate(2_592_000)).status).toBe(200);
    const refused = await rotate(2_592_000);
    const fault = expect.objectContaining({ path: "overlap_seconds", code: "too_many" });
    expect([refused.status, refused.body.error?.errors], refused.text).toEqual([400, [fault]]);
    expect((await send("GET", `/auth/clients/${client.id}`)).body.secrets).toHaveLength(20);
    expect(await tokenStatus(client)).toBe(200);
    const alone = await rotate(0);
    expect([alone.status, alone.body.secrets?.length]).toEqual([200, 1]);
    expect(await tokenStatus(client)).toBe(401);
    expect(await tokenStatus({ ...client, client_secret: alone.body.client_secret })).toBe(200);
  });

  it("has none to rotate where it authenticates by none", async () => {
    for (const token_endpoint_auth_method of ["none", "private_key_jwt"] as const) {
      const client = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method });
      const path = `/auth/clients/${client.id}`;
      const refused = await send("POST", `${path}/rotate-secret`);
      const fault = expect.objectContaining({ path: "token_endpoint_auth_method", code: "no_secret" });
      expect([refused.status, refused.body.error?.errors], refused.text).toEqual([400, [fault]]);
      expect((await send("GET", path)).body.secrets).toEqual([]);
      await send("PATCH", path, { token_endpoint_auth_method: "client_secret_post" });
      const rotated = await send("POST", `${path}/rotate-secret`);
      expect([rotated.status, typeof rotated.body.client_secret]).toEqual([200, "string"]);
    }
  });

  it("end with the method that takes them, and none comes back with it", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["read:accounts"]);
    const path = `/auth/clients/${client.id}`;
    expect(await tokenStatus(client)).toBe(200);
    expect((await send("PATCH", path, { token_endpoint_auth_method: "client_secret_post" })).body.secrets).toHaveLength(
      1,
    );
    expect((await send("PATCH", path, { token_endpoint_auth_method: "none" })).body.secrets).toEqual([]);
    expect((await send("PATCH", path, { token_endpoint_auth_method: "client_secret_basic" })).body.secrets).toEqual([]);
    expect(await tokenStatus(client)).toBe(401);
  });

  it("are no keys: those are in one place", async () => {
    const jwks = { keys: [] };
    const jwks_uri = "https://keys.example/jwks";
    const fault = expect.objectContaining({ path: "jwks_uri", code: "jwks" });
    const refused = await send("POST", "/auth/clients", { jwks, jwks_uri });
    expect([refused.status, refused.body.error?.errors], refused.text).toEqual([400, [fault]]);
    const { id } = (await send("POST", "/auth/clients", { jwks })).body;
    const moved = await send("PATCH", `/auth/clients/${id}`, { jwks_uri });
    expect([moved.status, moved.body.error?.errors], moved.text).toEqual([400, [fault]]);
    expect((await send("PATCH", `/auth/clients/${id}`, { jwks: null, jwks_uri })).status).toBe(200);
    expect((await send("PATCH", `/auth/clients/${id}`, { jwks })).status).toBe(400);
  });

  it("and settings that were taken before are in the way of no change that does not name them", async () => {
    const { storage } = latchkey.server.core;
    const uri = "https://keys.example/jwks";
    const two = ["https://app.example/cb", "com.example.app://app.example/cb"];
    const sector = { subject_type: "pairwise", sector_identifier_uri: "https://u:p@app.example/sector" };
    /** What is held, and what is judged together with it and named without it. */
    const before: readonly (readonly [object, ...(readonly object[])])[] = [
      [{ jwks: { keys: [] }, jwks_uri: uri }, { jwks_uri: null }],
      [{ jwks_uri: "https://u:p@keys.example/jwks" }, { jwks: null }],
      [{ jwks: { keys: Array.from({ length: 21 }, () => ({ kty: "RSA" })) } }, { jwks_uri: null }],
      [{ subject_type: "pairwise", callbacks: two }, { subject_type: "public" }],
      [{ callbacks: ["https://app.example/cb?code=1"] }, { subject_type: "pairwise" }, { login_uri: null }],
      [sector, { callbacks: ["https://app.example/cb"] }],
    ];
    for (const [settings, ...beside] of before) {
      const { id } = await addClient(latchkey, tenant.account_id);
      const hold = (stored: object) =>
        storage.write(async ({ db }) => {
          const set = { settings: JSON.stringify(stored) };
          await db.updateTable("clients").set(set).where("id", "=", id).execute();
        });
      for (const change of [{ name: "new" }, { login_uri: null }, ...beside]) {
        await hold(settings);
        const { status, text } = await send("PATCH", `/auth/clients/${id}`, change);
        expect(status, `${JSON.stringify(settings).slice(0, 80)} ${text}`).toBe(200);
      }
      const named = await send("PATCH", `/auth/clients/${id}`, settings);
      expect(named.status, named.text).toBe(400);
    }
    const { body } = await send("POST", "/auth/clients", { jwks_uri: "https://u:p@keys.example/jwks" });
    expect(body.error.message).toContain("without a user name or fragment");
  });
});
