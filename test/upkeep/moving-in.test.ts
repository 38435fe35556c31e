/** What an import finds on a server that has been running for a while. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PortableAccount } from "../../src/cli/portable/portable.ts";
import { readAccount } from "../../src/cli/portable/read-account.ts";
import { readConfig } from "../../src/config.ts";
import { openCore } from "../../src/core.ts";
import { endLoginsOf } from "../../src/oauth/refresh/end-logins.ts";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { addClient, basic, call, createTenant, type Latchkey, MASTER_KEY, startLatchkey } from "../support/latchkey.ts";
import { PASSWORD, personToken } from "../support/people.ts";
import { cli } from "../support/process.ts";

describeOnBothEngines("an import", (engine) => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-moving-in-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const importing = async (database_url: string, plan: object, ...flags: string[]) => {
    const file = join(folder, `${engine}.json`);
    writeFileSync(file, JSON.stringify(plan));
    const env = { DATABASE_URL: database_url, MASTER_KEY };
    const { code, stdout, stderr } = await cli(env, "import", file, "--json", ...flags);
    return code === 0 ? JSON.parse(stdout) : JSON.parse(stderr).error.errors;
  };

  const exportOf = async ({ server }: Latchkey, account_id: string): Promise<PortableAccount> => {
    let text = "";
    await readAccount(server.core, account_id, async (piece) => {
      text += piece;
    });
    return JSON.parse(text);
  };

  it("reads numbers as the account that is here does, and makes nobody twice", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const account = ["account", "create", "P11200001", "--country", "SE"];
    expect((await cli({ DATABASE_URL: database_url, MASTER_KEY }, ...account)).code).toBe(0);
    const users = [
      { phone_number: "0701234567" },
      { phone_number: "0701234568", email: "ada@example.com" },
      { phone_number: "0701234569", customer_id: "c-1" },
    ];
    const plan = { account: { account_id: "P11200001", settings: { country: "NO" } }, users };
    expect(await importing(database_url, plan, "--dry-run")).toEqual({ account_id: "P11200001", imported: false });
    expect((await importing(database_url, plan)).created?.users).toBe(3);
    const again = await importing(database_url, plan);
    expect([again.created?.users, again.kept]).toEqual([0, 4]);
    await drop();
  });

  it("brings no grant that nothing would take, by whatever name of the account API, here or in the file", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const issuer = "http://localhost:8080/v1/accounts/P11200001";
    const of_before = "https://api.dintero.com/v1/accounts/P11200001";
    const planned = (...audiences: string[]) => ({
      account: { account_id: "P11200001", settings: { api_audiences: ["https://own.example"] } },
      clients: [{ client_id: "web", grants: audiences.map((audience) => ({ audience, scope: [] })) }],
    });
    const taken = { path: "clients.0.grants.1.audience", code: "duplicate" };
    for (const name of [of_before, "https://own.example"])
      expect(await importing(database_url, planned(issuer, name), "--dry-run"), name).toMatchObject([taken]);
    expect((await importing(database_url, planned(issuer))).created).toMatchObject({ clients: 1, grants: 1 });
    const again = await importing(database_url, planned("https://api.shop.example", of_before));
    expect(again).toMatchObject([{ ...taken, code: "taken" }]);
    expect((await importing(database_url, planned(issuer))).created).toMatchObject({ clients: 0, grants: 0 });
    await drop();
  });

  it("takes no grant of a provider for one without", async () => {
    const latchkey = await startLatchkey(engine);
    const { account_id, client, token, base } = await createTenant(latchkey);
    const given = { audience: "urn:orders", type: "authorization_code" } as const;
    const oidc = { client_id: "us", client_secret: "upstream-secret", authority: "https://login.example" };
    const json = { client_id: client.id, ...given, scope: ["of:provider"], oidc };
    const made = await call(`${base}/auth/client-grants`, { method: "POST", token, json });
    expect(made.status, made.text).toBe(200);
    const grants = [{ ...given, scope: ["orders:read"] }];
    const plan = { account: { account_id }, clients: [{ client_id: client.client_id, grants }] };
    const { database_url } = latchkey.database;
    for (const created of [1, 0])
      expect((await importing(database_url, plan)).created).toMatchObject({ clients: 0, grants: created });
    const named = `${base}/auth/client-grants?audience=urn:orders`;
    const held = (await call(named, { token })).body as { scope: string[] }[];
    expect(held.map(({ scope }) => scope).toSorted()).toEqual([["of:provider"], ["orders:read"]]);
    await latchkey.close();
  });

  it("keeps the uuid by which a client is known", async () => {
    const latchkey = await startLatchkey(engine);
    const { account_id } = await createTenant(latchkey);
    const { database_url } = latchkey.database;
    const [client_id, client_secret] = ["0c6f7a4e-93d1-4b57-8a55-6d1f0f6a2b11", "a secret of thirty-two characters"];
    const audience = `${latchkey.config.public_url}/v1/accounts/${account_id}`;
    const grants = [{ audience, scope: ["read:accounts"] }];
    const plan = { account: { account_id }, clients: [{ client_id, client_secret, grants }] };
    expect((await importing(database_url, plan)).created).toMatchObject({ clients: 1, grants: 1 });
    expect((await importing(database_url, plan)).created).toMatchObject({ clients: 0, grants: 0 });
    const base = `${latchkey.url}/v1/accounts/${account_id}`;
    const headers = { authorization: basic({ client_id, client_secret }) };
    const json = { grant_type: "client_credentials", audience };
    const { status, body } = await call(`${base}/auth/token`, { method: "POST", headers, json });
    expect(status).toBe(200);
    const shown = await call(`${base}/auth/clients/${client_id}`, { token: body.access_token });
    expect(shown.body).toMatchObject({ id: client_id, client_id });
    const named = await addClient(latchkey, account_id, {}, "named");
    for (const taken of [named.id, client_id.toUpperCase()]) {
      const [fault] = await importing(database_url, { account: { account_id }, clients: [{ client_id: taken }] });
      expect(fault.path, taken).toBe("clients.0.client_id");
    }
    await latchkey.close();
  });

  it("takes no hash that no password could be held against", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const ends = "c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA";
    const impossible = ["m=1,t=0,p=0", "m=64,t=0,p=1", "m=15,t=1,p=2", "m=9999999999,t=1,p=1"];
    const endless = ["m=262145,t=1,p=1", "m=262144,t=5,p=1", "m=64,t=16385,p=1", "m=1024,t=1,p=65"];
    const costly = [...impossible, ...endless].map((cost) => `$argon2id$v=19$${cost}$${ends}`);
    const salted = (salt: string, hash = "c2FsdHNhbHRzYWx0c2FsdA") => `$argon2id$v=19$m=64,t=1,p=1$${salt}$${hash}`;
    const odd = [
      ...["c2FsdHNhbA", "c2FsdHNhbHQabc", "c2FsdHNhbHR", "c2FsdHNhbHQ0c"].map((salt) => salted(salt)),
      salted("c2FsdHNhbHQ", "c2FsdHNhbHRzYWx0c2Fsd"),
      `$argon2id$v=19$m=064,t=1,p=1$${ends}`,
    ];
    const hashes = ["$argon2id$garbage", "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ=$c2FsdHNhbHRzYWx0c2FsdA=="];
    const users = hashes.map((password_hash, n) => ({ email: `${n}@example.com`, password_hash }));
    const faults = await importing(database_url, { account: { account_id: "P11200001" }, users }, "--dry-run");
    expect(faults).toMatchObject(hashes.map((_, n) => ({ path: `users.${n}.password_hash` })));
    for (const [code, kind] of [
      ["costs", costly],
      ["format", odd],
    ] as const) {
      const users = kind.map((password_hash, n) => ({ email: `${n}@example.com`, password_hash }));
      const refused = await importing(database_url, { account: { account_id: "P11200001" }, users });
      expect(refused).toMatchObject(kind.map((_, n) => ({ path: `users.${n}.password_hash`, code })));
    }
    await drop();
  });

  it("brings revocations along, also to a server that runs", async () => {
    const from = await startLatchkey(engine);
    const tenant = await createTenant(from);
    const [dead, alive] = [await personToken(tenant), await personToken(tenant)];
    const headers = { authorization: basic(tenant.client) };
    const revoked = await call(`${tenant.base}/oauth/revoke`, { method: "POST", headers, form: { token: dead } });
    expect(revoked.status).toBe(200);
    const { tables, ...account } = await exportOf(from, tenant.account_id);
    const anHourAgo = new Date(Date.now() - 3_600_000).toISOString();
    const revocations = tables.revocations.map((row) => ({ ...row, revoked_at: anHourAgo }));
    const to = await startLatchkey(engine, { public_url: from.config.public_url });
    const done = await importing(to.database.database_url, { ...account, tables: { ...tables, revocations } });
    expect(done.imported, JSON.stringify(done)).toBe(true);
    const active = async (token: string) => {
      const url = `${to.url}/v1/accounts/${tenant.account_id}/oauth/introspect`;
      return (await call(url, { method: "POST", headers, form: { token } })).body.active;
    };
    await expect.poll(() => active(dead), { timeout: 10_000 }).toBe(false);
    expect(await active(alive)).toBe(true);
    await Promise.all([from.close(), to.close()]);
  });

  it("has names of a file from before found in any case, where no two differ in case alone", async () => {
    const from = await startLatchkey(engine);
    const tenant = await createTenant(from);
    const json = { username: "one", password: PASSWORD };
    const made = await call(`${tenant.base}/auth/users`, { method: "POST", token: tenant.token, json });
    expect(made.status, made.text).toBe(200);
    const { tables, ...account } = await exportOf(from, tenant.account_id);
    const { username_canonical, ...one } = tables.usernames[0] ?? {};
    expect(username_canonical).toBe("one");
    const names: readonly [object, string | null][] = [
      [{ username: "\u00c5se.Olsen" }, "\u00e5se.olsen"],
      [{ username: "Eva" }, null],
      [{ username: "eva" }, null],
      [{ username: "KARI", username_canonical: null }, null],
      [{ username: "Kari", username_canonical: "kari" }, "kari"],
      [{ username: "ola", username_canonical: "per" }, "ola"],
      [{ username: "Per", username_canonical: null }, "per"],
      [{ username: "OLA", deleted_at: one.created_at }, null],
      [{ username: "Ada", user_id: "gone", username_canonical: "ada" }, null],
      [{ username: "ada" }, "ada"],
    ];
    const gone = { ...tables.users.find(({ id }) => id === one.user_id), id: "gone" };
    const users = [...tables.users, { ...gone, deleted_at: one.created_at }];
    const usernames = names.map(([row], n) => ({ ...one, id: `name-${n}`, ...row }));
    const { database_url, drop } = await createTestDatabase(engine);
    const done = await importing(database_url, { ...account, tables: { ...tables, users, usernames } });
    expect(done.imported, JSON.stringify(done)).toBe(true);
    const to = await openCore(readConfig({ DATABASE_URL: database_url, MASTER_KEY }), { exclusive: false });
    const stored = to.storage.read.selectFrom("usernames").select("username_canonical").orderBy("id");
    expect((await stored.execute()).map((row) => row.username_canonical)).toEqual(
      names.map(([, found_by]) => found_by),
    );
    await to.close();
    await drop();
    await from.close();
  });

  it("lets strangers' clients of a file from before give way, and none that the account let in", async () => {
    const from = await startLatchkey(engine);
    const tenant = await createTenant(from);
    const { tables, ...account } = await exportOf(from, tenant.account_id);
    const { untried_since, ...own } = tables.clients[0] ?? {};
    expect(untried_since).toBeNull();
    const since = "2026-01-01T00:00:00.000Z";
    const kinds: Readonly<Record<string, object>> = {
      document: { origin: "metadata" },
      let_in: { origin: "dynamic", untried_since: null },
      registered: { origin: "dynamic", created_by: "open-registration", untried_since: null },
      waiting: { origin: "metadata", untried_since: since },
    };
    const strangers = Object.entries(kinds).map(([id, kind]) => ({ ...own, id, client_id: id, ...kind }));
    const { database_url, drop } = await createTestDatabase(engine);
    const before = new Date().toISOString();
    const clients = [...tables.clients, ...strangers];
    const done = await importing(database_url, { ...account, tables: { ...tables, clients } });
    expect(done.imported, JSON.stringify(done)).toBe(true);
    const to = await openCore(readConfig({ DATABASE_URL: database_url, MASTER_KEY }), { exclusive: false });
    const stored = to.storage.read.selectFrom("clients").select(["id", "untried_since"]).orderBy("id");
    const waits = (await stored.where("untried_since", "is not", null).execute()).map(({ id, untried_since: at }) => [
      id,
      at === since ? at : String(at) >= before,
    ]);
    expect(waits).toEqual([
      ["document", true],
      ["registered", true],
      ["waiting", since],
    ]);
    await to.close();
    await drop();
    await from.close();
  });

  it("keeps alive what began after a person's logins ended, and ends what began before", async () => {
    const from = await startLatchkey(engine);
    const tenant = await createTenant(from);
    const before = await personToken(tenant);
    const { storage, directory } = from.server.core;
    const person = { account_id: tenant.account_id, user_id: tenant.user.id };
    const passed = (at: number) => expect.poll(() => storage.now() > at, { timeout: 5_000 }).toBe(true);
    await passed(storage.now());
    await storage.write((tx) => endLoginsOf(tx, directory, person));
    const after = await personToken(tenant);
    await passed(storage.now());
    const to = await startLatchkey(engine, { public_url: from.config.public_url });
    const done = await importing(to.database.database_url, await exportOf(from, tenant.account_id));
    expect(done.imported, JSON.stringify(done)).toBe(true);
    const headers = { authorization: basic(tenant.client) };
    const active = async ({ url }: Latchkey, token: string) => {
      const introspect = `${url}/v1/accounts/${tenant.account_id}/oauth/introspect`;
      return (await call(introspect, { method: "POST", headers, form: { token } })).body.active;
    };
    await expect.poll(() => active(to, before), { timeout: 10_000 }).toBe(false);
    expect(await active(to, after)).toBe(true);
    await to.stop();
    const again = await startLatchkey(engine, { public_url: from.config.public_url, database: to.database });
    expect([await active(again, before), await active(again, after)]).toEqual([false, true]);
    await Promise.all([from.close(), again.close()]);
  });
});
