/** An account moves to another server, another system's clients move here, and master keys change under load. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, describeOnBothEngines, engines } from "../support/engines.ts";
import {
  authorize,
  basic,
  call,
  MASTER_KEY,
  mintCode,
  type Reply,
  startLatchkey,
  tokenOf,
} from "../support/latchkey.ts";
import {
  addPerson,
  logInAccountUser,
  logInByMail,
  oneTimePassword,
  PASSWORD,
  personToken,
  token,
} from "../support/people.ts";
import { cli, startProcess } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { createTenantBeside } from "../support/tenants.ts";

const OTHER_KEY = Buffer.alloc(32, 9).toString("base64");

describeOnBothEngines("an account that moves to another server", (engine) => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-portable-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("keeps every credential: secrets, passwords, factors, tokens, logins, keys", async () => {
    const { createTenant } = await import("../support/latchkey.ts");
    const from = await startLatchkey(engine);
    const tenant = await createTenant(from);
    const person = await addPerson(from, tenant.account_id);
    const me = await logInAccountUser(from, tenant, { scope: ["read:accounts"] });
    const totp = await call(`${from.url}/v1/account/user/mfa/totp`, { method: "POST", token: me.token });
    const { secret } = totp.body;
    const json = { otp: oneTimePassword(secret) };
    const enrolled = await call(`${from.url}/v1/account/user/mfa/totp`, { method: "PUT", token: me.token, json });
    expect(enrolled.status, enrolled.text).toBe(201);
    const oidc = { client_id: "x", client_secret: "upstream-secret-in-clear", authority: "https://idp.example" };
    const grant = {
      client_id: tenant.client.id,
      audience: "https://idp.example",
      scope: [],
      type: "authorization_code",
      oidc,
    };
    await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    const login = { grant_type: "password", username: person.email, password: PASSWORD, audience: tenant.audience };
    const { refresh_token } = (await token(tenant, login)).body;
    // A login that ended before it had a refresh token leaves a row that hangs on no key.
    const form = { token: await personToken(tenant) };
    const revoked = { method: "POST", headers: { authorization: basic(tenant.client) }, form };
    expect((await call(`${tenant.base}/oauth/revoke`, revoked)).status).toBe(200);
    await from.stop();

    const file = join(folder, `${engine}.json`);
    const env = { DATABASE_URL: from.database.database_url, MASTER_KEY, PUBLIC_URL: from.config.public_url };
    const nowhere = await cli(env, "export", tenant.account_id, "--json");
    expect([nowhere.code, nowhere.stdout]).toEqual([2, ""]);
    expect(JSON.parse(nowhere.stderr).error).toEqual({
      code: "invalid_usage",
      message: expect.stringMatching(/--out: name one/),
    });
    const written = await cli(env, "export", tenant.account_id, "--out", file, "--json");
    expect(written.code, written.stderr).toBe(0);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const text = readFileSync(file, "utf8");
    for (const clear of [tenant.client.client_secret, PASSWORD, refresh_token, secret, "upstream-secret-in-clear"])
      expect(text).not.toContain(clear);

    const other = await createTestDatabase(engines.find((name) => name !== engine) ?? engine);
    const target = { DATABASE_URL: other.database_url, PUBLIC_URL: from.config.public_url };
    const without = await cli({ ...target, MASTER_KEY: OTHER_KEY }, "import", file, "--json");
    expect([without.code, JSON.parse(without.stderr).error.message]).toEqual([
      1,
      expect.stringContaining("MASTER_KEY"),
    ]);
    const both = { ...target, MASTER_KEY: `${OTHER_KEY},${MASTER_KEY}` };
    const dry = async (change: object) => {
      const changed = join(folder, `${engine}-changed.json`);
      writeFileSync(changed, JSON.stringify({ ...JSON.parse(text), ...change }));
      const { stderr, stdout } = await cli(both, "import", changed, "--dry-run", "--json");
      return stderr ? JSON.parse(stderr).error.errors[0].path : JSON.parse(stdout);
    };
    expect(await dry({ format: "latchkey-account/2" })).toBe("format");
    expect(await dry({ key_versions: ["v0"] })).toBe("key_versions");
    expect(await dry({ tables: [] })).toBe("tables");
    expect(await dry({ account_id: "P99999999" })).toBe("tables.accounts");
    expect(await dry({})).toMatchObject({ imported: false, rows: { accounts: 1, clients: 2 } });
    const read = await cli(both, "import", file, "--json");
    expect(read.code, read.stderr).toBe(0);
    expect(JSON.parse((await cli(both, "import", file, "--json")).stderr).error.code).toBe("invalid_request");
    expect(await dry({})).toBe("account_id");
    const resealed = JSON.parse((await cli(both, "keys", "reseal", "--json")).stdout);
    expect(resealed.moved["factors.seed"]).toBe(1);
    expect(resealed.moved["grants.oidc_client_secret"]).toBe(1);
    const again = JSON.parse((await cli(both, "keys", "reseal", "--json")).stdout);
    expect(again.moved["factors.seed"]).toBe(0);
    expect(again.hanging.refresh_families, "until it is refreshed").toMatchObject({ count: 2 });
    const said = (await cli(both, "keys", "reseal")).stdout;
    expect(said).toMatch(
      /logins, each until it is refreshed or ends, hang on an older key, the last until \d{4}-.*\n.*Keep that key/,
    );

    const to = await startLatchkey(other.engine, {
      database: other,
      env: { MASTER_KEY: both.MASTER_KEY },
      public_url: from.config.public_url,
    });
    const moved = { ...tenant, base: `${to.url}/v1/accounts/${tenant.account_id}` };
    expect((await call(`${moved.base}/auth/clients`, { token: tenant.token })).status).toBe(200);
    const fresh = await tokenOf(to, tenant.account_id, tenant.client);
    expect((await token({ ...moved, token: fresh }, login)).status).toBe(200);
    const refreshed = await token({ ...moved, token: fresh }, { grant_type: "refresh_token", refresh_token });
    expect(refreshed.status, refreshed.text).toBe(200);
    const asked = await logInByMail({ ...moved, token: fresh }, me.client, me.email);
    const { mfa_token } = asked.body;
    const done = await token(
      { ...moved, token: fresh },
      { grant_type: "mfa_oob", mfa_token, otp: oneTimePassword(secret, 1) },
    );
    expect(done.status, done.text).toBe(200);
    expect((await call(`${moved.base}/auth/clients`, { token: done.body.access_token })).status).toBe(200);
    await to.close();
    await from.database.drop();
  });

  it("is told to go to a newer version where it comes from one, and writes nothing", async () => {
    const [from, to] = [await createTestDatabase(engine), await createTestDatabase(engine)];
    const file = join(folder, `${engine}-newer.json`);
    const at = ({ database_url }: typeof from) => ({ DATABASE_URL: database_url, MASTER_KEY });
    await cli(at(from), "account", "create", "P11200001");
    await cli(at(from), "client", "create", "P11200001", "--client-id", "web");
    expect((await cli(at(from), "export", "P11200001", "--out", file)).code).toBe(0);
    const { tables, ...document } = JSON.parse(readFileSync(file, "utf8"));
    const clients = tables.clients.map((row: object) => ({ ...row, later: 1, latest: null }));
    writeFileSync(file, JSON.stringify({ ...document, tables: { ...tables, clients } }));
    for (const further of [["--dry-run"], []]) {
      const { code, stderr } = await cli(at(to), "import", file, ...further);
      expect([code, stderr]).toEqual([
        1,
        "tables.clients: has what this version does not know (later, latest): import it with the version that exported it, or a newer one\n",
      ]);
    }
    writeFileSync(file, JSON.stringify({ ...document, tables }));
    expect((await cli(at(to), "import", file)).code).toBe(0);
    await from.drop();
    await to.drop();
  });

  it("comes from another system with the credentials that its clients have", async () => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    const strong = `${Buffer.alloc(32, 77).toString("base64")}aB3dE6gH9jK2mN5pQ8sT`;
    const plan = {
      account: { account_id: "P11200001", name: "Shop", settings: { country: "SE" } },
      roles: [{ name: "support", scope: ["read:accounts"] }],
      clients: [
        {
          client_id: "ecom-123",
          client_secret: strong,
          settings: { callbacks: ["https://shop.example/cb"] },
          grants: [{ audience: "https://api.dintero.com/v1/accounts/P11200001", scope: ["admin:accounts"] }],
        },
        {
          client_id: "old",
          client_secret: "weak-secret",
          grants: [{ audience: "https://x.example", scope: ["a:b"], type: "client_credentials" }],
        },
      ],
      users: [
        { email: "ada@example.com", customer_id: "99919" },
        { type: "account_user", email: "staff@example.com", roles: ["support"] },
      ],
    };
    const file = join(folder, `plan-${engine}.json`);
    const write = (content: object) => writeFileSync(file, JSON.stringify(content));
    write({ ...plan, clients: [{ client_id: "x", settings: { calbacks: [] } }] });
    const wrong = await cli(env, "import", file, "--json");
    expect([wrong.code, JSON.parse(wrong.stderr).error.errors[0].path]).toEqual([
      1,
      expect.stringContaining("clients.0.settings"),
    ]);
    write({ ...plan, users: [{ email: "x@example.com", roles: ["nobody"] }] });
    expect((await cli(env, "import", file)).code).toBe(1);
    write({
      ...plan,
      account: { ...plan.account, account_id: "Shop" },
      clients: [
        { client_id: "a b", settings: {} },
        { client_id: "keys", settings: { jwks_uri: "http://keys.example/jwks" } },
      ],
      users: [...plan.users, { email: "nobody" }, { phone_number: "1234", locale: "sv" }],
    });
    const dry = await cli(env, "import", file, "--dry-run", "--json");
    const found = JSON.parse(dry.stderr).error.errors.map(({ path }: { path: string }) => path);
    expect([dry.code, found]).toEqual([
      1,
      [
        "account.account_id",
        ...["clients.0.client_id", "clients.1.settings.jwks_uri"],
        ...["users.2.email", "users.3.phone_number"],
      ],
    ]);
    write(plan);
    expect(JSON.parse((await cli(env, "import", file, "--dry-run", "--json")).stdout).imported).toBe(false);
    const done = await cli(env, "import", file, "--json");
    expect(done.code, done.stderr).toBe(0);
    const created = { accounts: 1, roles: 1, clients: 2, grants: 2, users: 2 };
    expect(JSON.parse(done.stdout)).toEqual({ account_id: "P11200001", imported: true, created, kept: 0 });
    const again = JSON.parse((await cli(env, "import", file, "--json")).stdout);
    expect([again.created.users, again.kept]).toEqual([0, 8]);
    const latchkey = await startLatchkey(engine, { database });
    const base = `${latchkey.url}/v1/accounts/P11200001`;
    const get = (client_id: string, client_secret: string, audience: string) =>
      call(`${base}/auth/token`, {
        method: "POST",
        headers: { authorization: basic({ client_id, client_secret }) },
        json: { grant_type: "client_credentials", audience },
      });
    const own = await get("ecom-123", strong, "https://api.dintero.com/v1/accounts/P11200001");
    expect(own.status, own.text).toBe(200);
    const users = await call(`${base}/management/users`, { token: own.body.access_token, query: { expand: "roles" } });
    expect(users.body[0].roles[0].name).toBe("support");
    expect((await get("old", "weak-secret", "https://x.example")).status).toBe(200);
    expect((await get("old", "another", "https://x.example")).status).toBe(401);
    const secrets = await latchkey.server.core.storage.read.selectFrom("client_secrets").select("algorithm").execute();
    expect(secrets.map(({ algorithm }) => algorithm).toSorted()).toEqual(["argon2id", "sha256"]);
    await latchkey.close();
  });
});

describe("the audit trail", () => {
  it.each(engines)("tells of each key that was made, and of none that was not (%s)", async (engine) => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    await cli(env, "account", "create", "P11200001");
    const made: string[] = [];
    for (const flags of [[], [], ["--now"]]) {
      const { stdout } = await cli(env, "keys", "rotate", "P11200001", "--json", ...flags);
      made.push(...JSON.parse(stdout).rotated.flatMap(({ kid }: { kid: string | null }) => kid ?? []));
    }
    const latchkey = await startLatchkey(engine, { database });
    const events = await latchkey.server.core.storage.read
      .selectFrom("audit_events")
      .select("context")
      .where("action", "=", "keys.rotated")
      .execute();
    expect(made).toHaveLength(4);
    expect(events.map(({ context }) => JSON.parse(context).kid).toSorted()).toEqual(made.toSorted());
    await latchkey.close();
  });
});

describe("keys that change under load", () => {
  it.each(engines)(
    "lose no request, and to a rotation at once those alone whose token the old key signed (%s)",
    async (engine) => {
      const database = await createTestDatabase(engine);
      const first = await startProcess({ database_url: database.database_url });
      const before = await createTenantBeside(database.database_url, first.url, `http://localhost:${first.port}`);
      expect((await authorize(before, { verification_code: await mintCode(before) })).status).toBe(302);
      await first.kill("SIGTERM");
      const env = { MASTER_KEY: `${OTHER_KEY},${MASTER_KEY}` };
      const server = await startProcess({ database_url: database.database_url, port: first.port, env });
      const shared = { ...env, DATABASE_URL: database.database_url, PUBLIC_URL: `http://localhost:${first.port}` };
      const logins: string[] = [];
      const refused: { kid: string; status: number; code: string }[] = [];
      let going = true;
      const kidOf = (bearer: string): string =>
        JSON.parse(Buffer.from(bearer.split(".")[0] ?? "", "base64url").toString()).kid;
      const newToken = () =>
        tokenOf(
          { url: server.url, config: { public_url: shared.PUBLIC_URL } } as never,
          before.account_id,
          before.client,
        );
      const work = Promise.all(
        [1, 2, 3, 4].map(async (worker) => {
          while (going) {
            const bearer = await newToken();
            const own = { ...before, token: bearer };
            const kid = kidOf(bearer);
            /** Whether it was served; who is refused asks for a new token. */
            const isServed = ({ status, body }: Reply, wanted: number) => {
              if (status !== wanted) refused.push({ kid, status, code: body?.error?.code });
              return status === wanted;
            };
            const json = { email: `worker-${worker}-${Math.random()}@example.com` };
            const user = await call(`${own.base}/customers/users`, { method: "POST", token: bearer, json });
            if (!isServed(user, 200)) continue;
            for (let n = 0; n < 5 && going; n++) {
              const json = { audience: own.audience, client_id: own.client.client_id, user_id: user.body.id };
              const minted = await call(`${own.base}/auth/passwordless/code`, { method: "POST", token: bearer, json });
              if (!isServed(minted, 200)) break;
              const { verification_code } = minted.body;
              if (!isServed(await authorize(own, { verification_code }), 302)) break;
              logins.push(kid);
            }
          }
        }),
      );
      const reseal = await cli(shared, "keys", "reseal", "--json");
      const rotate = await cli(shared, "keys", "rotate", before.account_id, "--json");
      const again = await cli(shared, "keys", "reseal", "--json");
      expect([reseal.code, rotate.code, again.code], reseal.stderr + rotate.stderr).toEqual([0, 0, 0]);
      expect(JSON.parse(reseal.stdout).moved["signing_keys.private_key"]).toBeGreaterThan(0);
      await until("logins", () => logins.length > 3 || undefined);
      expect(refused).toEqual([]);
      const at_once = await cli(shared, "keys", "rotate", before.account_id, "--now", "--json");
      expect(at_once.code, at_once.stderr).toBe(0);
      const fresh: readonly string[] = JSON.parse(at_once.stdout).rotated.map(({ kid }: { kid: string }) => kid);
      await until("logins by the new key", () => logins.filter((kid) => fresh.includes(kid)).length > 3 || undefined);
      const clientsWith = (bearer: string, url = server.url) =>
        call(`${url}/v1/accounts/${before.account_id}/auth/clients`, { token: bearer }).then(({ status }) => status);
      await until(
        "the old key to be trusted no longer",
        async () => (await clientsWith(before.token)) === 401 || undefined,
      );
      going = false;
      await work;
      const others = refused.filter(
        ({ kid, status, code }) => fresh.includes(kid) || status !== 401 || code !== "invalid_token",
      );
      expect(others).toEqual([]);
      const last = await newToken();
      expect(fresh).toContain(kidOf(last));
      await server.kill("SIGTERM");
      const only = await startProcess({
        database_url: database.database_url,
        port: first.port,
        env: { MASTER_KEY: OTHER_KEY },
      });
      expect(await clientsWith(last, only.url)).toBe(200);
      await only.kill("SIGTERM");
      await database.drop();
    },
  );
});
