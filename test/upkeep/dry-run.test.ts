/** `latchkey import --dry-run` names whatever the import would refuse, and writes nothing; no import drops anybody unsaid. */
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { removeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { openStorage } from "../../src/storage/open.ts";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { admin } from "../support/global-setup.ts";
import { actor, addClient, addGrant, createTenant, MASTER_KEY, startLatchkey } from "../support/latchkey.ts";
import { cli } from "../support/process.ts";

describeOnBothEngines("a file to import", (engine) => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-dry-run-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const written = (plan: object) => {
    const file = join(folder, `${engine}.json`);
    writeFileSync(file, JSON.stringify(plan));
    return file;
  };
  const importing = async (database_url: string, plan: object, ...flags: string[]) => {
    const env = { DATABASE_URL: database_url, MASTER_KEY };
    const { code, stdout, stderr } = await cli(env, "import", written(plan), "--json", ...flags);
    return code === 0 ? JSON.parse(stdout) : JSON.parse(stderr).error;
  };
  /** Places of what is refused, dry or not. */
  const faulty = async (database_url: string, plan: object) => {
    const [dry, real] = [await importing(database_url, plan, "--dry-run"), await importing(database_url, plan)];
    expect(real, JSON.stringify(real)).toEqual(dry);
    return (dry.errors ?? [dry]).map(({ path, message }: { path: string; message: string }) => `${path} ${message}`);
  };

  it("names twice only what it means once", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const account = { account_id: "P11200001" };
    const grant = (audience: string, scope: string) => ({ audience, scope: [scope] });
    const plan = {
      account,
      roles: [
        { name: "support", scope: [] },
        { name: "support", scope: ["read:accounts"] },
      ],
      clients: [
        { client_id: "web", grants: [grant("https://a.example", "x"), grant("https://a.example", "y")] },
        { client_id: "web" },
      ],
      users: [
        { email: "Ada@Example.com", customer_id: "1" },
        { email: "ada@example.COM" },
        { type: "company", email: "ada@example.com" },
        { email: "bo@example.com", customer_id: "1" },
        { phone_number: "+4791000001" },
        { phone_number: "91 00 00 01" },
        { type: "company", phone_number: "+4791000001" },
        { phone_number: "+4791000001", email: "cy@example.com" },
        { phone_number: "+4791000002", customer_id: "2" },
        { phone_number: "+4791000002", customer_id: "3" },
        { phone_number: "+4791000002" },
      ],
    };
    expect(await faulty(database_url, plan)).toEqual([
      "roles.1.name is that of roles.0 already",
      "clients.1.client_id is that of clients.0 already",
      "clients.0.grants.1.audience is that of clients.0.grants.0 already",
      "users.1.email is that of users.0 already",
      "users.3.customer_id is that of users.0 already",
      "users.5.phone_number is that of users.4 already",
      "users.7.phone_number is that of users.4 already",
      "users.10.phone_number is that of users.8 already",
    ]);
    const users = plan.users.filter((_, at) => [0, 2, 4, 6, 8, 9].includes(at));
    expect((await importing(database_url, { account, users })).created.users).toBe(6);
    expect((await importing(database_url, { account, users })).kept).toBe(7);
    await drop();
  });

  it("has nobody who would be two people of the account", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const account = { account_id: "P11200001" };
    const here = [{ email: "ada@example.com", customer_id: "1" }, { email: "bo@example.com" }, { customer_id: "3" }];
    expect((await importing(database_url, { account, users: here })).created.users).toBe(3);
    const users = [
      { email: "bo@example.com", customer_id: "1" },
      { email: "ada@example.com", customer_id: "3" },
    ];
    expect(await faulty(database_url, { account, users })).toEqual([
      expect.stringMatching(
        /^users\.0\.customer_id is that of the user \S+, and email that of \S+: correct one of them$/,
      ),
      expect.stringMatching(/^users\.1\.customer_id is that of the user /),
    ]);
    const alike = [
      { email: "ada@example.com", customer_id: "1" },
      { email: "bo@example.com", customer_id: "2" },
    ];
    expect((await importing(database_url, { account, users: alike })).kept).toBe(3);
    await drop();
  });

  it("takes nobody for a user of another type, and nobody's id for a name", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const account = { account_id: "P11200001" };
    const here = ["1", "2", "3"].map((customer_id) => ({ email: `${customer_id}@example.com`, customer_id }));
    expect((await importing(database_url, { account, users: here })).created.users).toBe(3);
    const env = { DATABASE_URL: database_url, MASTER_KEY };
    const erased = await cli(env, "user", "erase", "P11200001", "3", "--yes");
    expect(erased.code, erased.stderr).toBe(0);
    const storage = await openStorage({ database_url });
    const ids = (await storage.read.selectFrom("users").select("id").orderBy("id").execute()).map(({ id }) => id);
    await storage.close();
    expect(ids).toHaveLength(3);
    const users = [
      { type: "account_user", email: "boss@example.com", customer_id: "1" },
      { type: "company", customer_id: "2" },
      ...ids.map((customer_id) => ({ customer_id })),
    ];
    expect(await faulty(database_url, { account, users })).toEqual([
      expect.stringMatching(/^users\.0\.customer_id is that of the user \S+, of type customer$/),
      expect.stringMatching(/^users\.1\.customer_id is that of the user \S+, of type customer$/),
      ...ids.map((_, at) => `users.${at + 2}.customer_id is taken`),
    ]);
    await drop();
  });

  it("has scopes and roles for account users alone, and no account user without an address", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const account = { account_id: "P11200001" };
    const roles = [{ name: "support", scope: ["read:accounts"] }];
    const users = [
      { email: "ada@example.com", scope: ["admin:accounts"] },
      { type: "company", email: "bo@example.com", roles: ["support"] },
      { type: "account_user", customer_id: "1", scope: ["read:accounts"] },
      { type: "account_user" },
      { type: "account_user", email: "cy@example.com", scope: ["read:accounts"], roles: ["support"] },
    ];
    expect(await faulty(database_url, { account, roles, users })).toEqual([
      "users.0.scope is for users of type account_user",
      "users.1.roles is for users of type account_user",
      "users.2.email is needed for an account user",
      "users.3.email is needed for an account user",
    ]);
    expect((await importing(database_url, { account, roles, users: users.slice(4) })).created.users).toBe(1);
    await drop();
  });

  it("gives no account user more than a token can name", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const scope = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => `read:accounts:/${from + n}`);
    const roles = [
      { name: "first", scope: scope(0, 150) },
      { name: "second", scope: scope(100, 200) },
    ];
    const user = { type: "account_user", email: "ada@example.com", roles: ["first", "second"], scope: scope(190, 200) };
    const much = { ...user, email: "bo@example.com", scope: scope(200, 201) };
    const plan = { account: { account_id: "P11200001" }, roles, users: [user, much] };
    const said = "give 201 different scopes, the user's own among them; 200 is the limit";
    expect(await faulty(database_url, plan)).toEqual([`users.1.roles ${said}`]);
    expect((await importing(database_url, { ...plan, users: [user] })).created.users).toBe(1);
    // A role that is here is kept as it is.
    const named = (name: string, from: number, to: number) => ({
      account: plan.account,
      roles: [{ name, scope: scope(from, to) }],
      users: [{ ...much, roles: [name], scope: scope(200, 300) }],
    });
    expect(await faulty(database_url, named("first", 0, 1))).toEqual([
      "users.0.roles give 250 different scopes, the user's own among them; 200 is the limit",
    ]);
    expect((await importing(database_url, named("second", 0, 150))).created.users).toBe(1);
    await drop();
  });

  it("is refused before anything of it is written", async () => {
    const latchkey = await startLatchkey(engine);
    const tenant = await createTenant(latchkey);
    const { database_url } = latchkey.database;
    const { directory, storage } = latchkey.server.core;
    const gone = await addClient(latchkey, tenant.account_id, {}, "gone");
    await removeClient(directory, await findClient(directory, tenant.account_id, gone.client_id), actor);
    const full = await addClient(latchkey, tenant.account_id, {}, "full");
    await addGrant(latchkey, tenant.account_id, full, "https://0.example", ["x"]);
    const grants = (from: number, to: number) =>
      Array.from({ length: to - from }, (_, n) => ({ audience: `https://${n + from}.example`, scope: ["x"] }));
    const plan = {
      account: { account_id: tenant.account_id },
      clients: [
        {
          client_id: "fresh",
          grants: [
            { audience: "https://a.example", scope: [] },
            { audience: "urn:latchkey:x", scope: [] },
          ],
        },
        { client_id: "gone" },
        { client_id: "full", grants: grants(0, 201) },
        { client_id: "new", grants: grants(0, 201) },
      ],
    };
    expect(await faulty(database_url, plan)).toEqual([
      "clients.0.grants.1.audience must not begin with urn:latchkey:, which is the server's own",
      "clients.1.client_id is taken",
      "clients.2.client_id has 200 grants, which is the limit",
      "clients.3.client_id has 200 grants, which is the limit",
    ]);
    const users = [{ email: "ada@example.com" }, { email: "bo@example.com", name: "B\u0000" }];
    expect(await faulty(database_url, { account: plan.account, users })).toEqual([
      "users.1.name must not contain U+0000 or half of a surrogate pair",
    ]);
    const { rows } = await sql`select client_id from clients where client_id in ('fresh', 'new')`.execute(storage.read);
    expect(rows).toEqual([]);
    const most = [{ client_id: "full", grants: grants(0, 200) }];
    expect((await importing(database_url, { account: plan.account, clients: most })).created.grants).toBe(199);
    await latchkey.close();
  });

  it("sets nothing that could mean nothing, such as a jwks that could never be fetched, nor more than a client holds", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const plan = (uri: string) => {
      const jwks = { name: "IdP", uri, issuer: "https://idp.example" };
      return { account: { account_id: "P11200002", settings: { jwks } } };
    };
    for (const uri of ["http://idp.example/jwks", "ftp://idp.example/jwks"])
      expect(await faulty(database_url, plan(uri))).toEqual([
        "account.settings.jwks.uri must be https, or http on a loopback address, without a user name",
      ]);
    const addresses = Array.from({ length: 50 }, (_, n) => `https://${n}.example/`.padEnd(2_000, "x"));
    const long = { client_id: "long", settings: { callbacks: addresses, post_logout_redirect_uris: addresses } };
    const together = { account: { account_id: "P11200002" }, clients: [long] };
    expect(await faulty(database_url, together)).toEqual([expect.stringContaining("100,000 characters together")]);
    const merchant = { account: { account_id: "P11200002", settings: { signup: true, country: "UK" } } };
    expect(await faulty(database_url, merchant)).toEqual([
      "account.settings.country must be a country of ISO 3166-1 alpha-2 that has telephone numbers, such as NO or GB",
      "account.settings.signup is for owners alone, whose last five digits are 0",
    ]);
    const right = await importing(database_url, plan("https://idp.example/jwks"), "--dry-run");
    expect(right.imported, JSON.stringify(right)).toBe(false);
    await drop();
  });

  it("is tried where nothing is installed, and nothing is installed by that", async () => {
    const database = engine === "postgres" ? await createTestDatabase(engine) : undefined;
    if (database) await admin(database.database_url, "drop schema public cascade; create schema public");
    const place = join(folder, "nothing");
    const DATABASE_URL = database?.database_url ?? `sqlite:${place}/latchkey.db`;
    const env = { DATABASE_URL, ...(database ? { MASTER_KEY } : {}), TMPDIR: mkdtempSync(join(folder, "tmp-")) };
    const good = written({ account: { account_id: "P11200001" }, users: [{ email: "ada@example.com" }] });
    const said = await cli(env, "import", good, "--dry-run");
    expect([said.code, said.stdout]).toEqual([
      0,
      "Nothing is installed here yet: an import begins a new installation.\nThe file can be imported.\n",
    ]);
    const json = JSON.parse((await cli(env, "import", good, "--dry-run", "--json")).stdout);
    expect(json).toEqual({ account_id: "P11200001", imported: false, new_installation: true });
    const bad = written({ account: { account_id: "P11200001" }, users: [{ email: "ada" }] });
    const refused = await cli(env, "import", bad, "--dry-run");
    expect([refused.code, refused.stderr]).toEqual([1, "users.0.email is not an e-mail address.\n"]);
    expect(refused.stdout).toContain("Nothing is installed here yet");
    expect(readdirSync(env.TMPDIR)).toEqual([]);
    if (!database) expect(existsSync(place)).toBe(false);
    else {
      const storage = await openStorage({ database_url: DATABASE_URL });
      const { rows } = await sql`select 1 from pg_tables where schemaname = 'public'`.execute(storage.read);
      expect(rows).toEqual([]);
      await storage.close();
    }
    await database?.drop();
  });

  it("is not tried in a database that waits for a migration, which a dry run does not apply", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const storage = await openStorage({ database_url });
    const applied = () => sql`select name from migrations`.execute(storage.read).then(({ rows }) => rows.length);
    await storage.write(async ({ db }) => {
      await sql`delete from migrations where name = (select max(name) from migrations)`.execute(db);
    });
    const before = await applied();
    const file = written({ account: { account_id: "P11200001" } });
    const { code, stderr } = await cli({ DATABASE_URL: database_url, MASTER_KEY }, "import", file, "--dry-run");
    expect([code, stderr]).toEqual([1, expect.stringContaining("run latchkey migrate first")]);
    expect(await applied()).toBe(before);
    await storage.close();
    await drop();
  });
});
