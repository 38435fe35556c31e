/** What SECURITY.md tells to do after a theft, and upkeep.md after a restore, does what it says, statement by statement. */
import { readFileSync } from "node:fs";
import Sqlite from "libsql";
import pg from "pg";
import { expect, it } from "vitest";
import type { Engine } from "../../src/storage/storage.ts";
import { describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  MASTER_KEY,
  mintCode,
  newOwnerId,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
import { cli } from "../support/process.ts";
import { code } from "../support/replies.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const NEW_KEY = Buffer.alloc(32, 9).toString("base64");

const textOf = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8");

function statementsFor(engine: Engine): string {
  const [postgres, sqlite, both] = [...textOf("SECURITY.md").matchAll(/```sql\n([\s\S]*?)```/g)].map(
    ([, block]) => block ?? "",
  );
  return `${engine === "postgres" ? postgres : sqlite}${both}`;
}

async function run({ engine, database_url }: TestDatabase, statements: string): Promise<void> {
  if (engine === "sqlite") {
    const database = new Sqlite(database_url.replace("sqlite:", ""));
    database.exec(statements);
    database.close();
    return;
  }
  const database = new pg.Client(database_url);
  await database.connect();
  await database.query(statements);
  await database.end();
}

const post = (tenant: Tenant, path: string, options: object) =>
  call(`${tenant.base}${path}`, { method: "POST", token: tenant.token, ...options });

/** Somebody who is logged in with a browser, has a new address to confirm, and applied for an account. */
async function live(latchkey: Latchkey, tenant: Tenant) {
  const { account_id, user } = tenant;
  const own = await addClient(latchkey, account_id, { first_party: true });
  const { address } = standardClient(latchkey, tenant, own);
  const silently = address(own, { prompt: "none" });
  const surfer = openSurfer(latchkey);
  await surfer.logIn(address(), tenant);
  expect(answered(await surfer.visit(silently)).get("code")).toBeTruthy();
  const contact = `/customers/users/${user.id}/communication`;
  expect(
    (await post(tenant, `${contact}/send-verification-code/email`, { json: { value: "new@example.com" } })).status,
  ).toBe(204);
  expect((await post(tenant, "/signup", { json: { email: "applicant@example.com" } })).status).toBe(200);
  const received = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";
  const [confirmation, application] = [await received("new@example.com"), await received("applicant@example.com")];
  const minted = await mintCode(tenant);
  return {
    /** What each is worth at a server. */
    async tryAll(at: Latchkey, moved: Tenant) {
      const browser = openSurfer(at);
      for (const [name, value] of surfer.jar) browser.jar.set(name, value);
      return {
        browser: answered(await browser.visit(silently)).get("error"),
        minted: code(await authorize(moved, { verification_code: minted })),
        confirmation: code(
          await post(moved, `${contact}/confirm-verification-code/email`, { json: { code: confirmation } }),
        ),
        application: code(await post(moved, "/signup/verify", { query: { verification_code: application } })),
      };
    },
  };
}

describeOnBothEngines("after a theft of database and master key", (engine) => {
  it("ends every login and code, so that the old key can go at once", async () => {
    const before = await startLatchkey(engine);
    const { database, config } = before;
    const tenant = await createTenant(before, { account_id: newOwnerId(), settings: { signup: true } });
    const person = await addPerson(before, tenant.account_id);
    const login = { grant_type: "password", username: person.email, password: PASSWORD, audience: tenant.audience };
    const logged_in = (await token(tenant, login)).body;
    expect(logged_in.refresh_token).toEqual(expect.any(String));
    const { tryAll } = await live(before, tenant);
    await before.stop();

    await run(database, statementsFor(engine));
    const env = { DATABASE_URL: database.database_url, PUBLIC_URL: config.public_url };
    const resealed = await cli({ ...env, MASTER_KEY: `${NEW_KEY},${MASTER_KEY}` }, "keys", "reseal");
    expect(resealed.stdout, resealed.stderr).toMatch(/Nothing hangs on an older key: .* ten minutes/);

    const env_after = { MASTER_KEY: `${NEW_KEY},${MASTER_KEY}` };
    const after = await startLatchkey(engine, { database, env: env_after, public_url: config.public_url });
    const moved = { ...tenant, base: `${after.url}/v1/accounts/${tenant.account_id}` };
    const { refresh_token, access_token } = logged_in;
    const refreshed = await token(moved, { grant_type: "refresh_token", refresh_token });
    expect([refreshed.status, refreshed.body.error]).toEqual([400, expect.anything()]);
    const form = { token: access_token };
    const { client_id, client_secret } = tenant.client;
    const headers = { authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}` };
    const asked = await call(`${moved.base}/oauth/introspect`, { method: "POST", headers, form });
    expect(asked.body).toEqual({ active: false });
    expect((await token(moved, login)).status).toBe(200);
    const nothing = [400, "invalid_verification_code"];
    expect(await tryAll(after, moved)).toEqual({
      browser: "login_required",
      minted: [400, "verification_code_used"],
      confirmation: nothing,
      application: nothing,
    });
    await after.stop();

    const rotated = await cli({ ...env, MASTER_KEY: NEW_KEY }, "keys", "rotate", tenant.account_id, "--now");
    expect(rotated.code, rotated.stderr).toBe(0);
    const last = await startLatchkey(engine, {
      database,
      env: { MASTER_KEY: NEW_KEY },
      public_url: config.public_url,
    });
    const base = `${last.url}/v1/accounts/${tenant.account_id}`;
    expect(code(await call(`${base}/auth/clients`, { token: tenant.token }))).toEqual([401, "invalid_token"]);
    const fresh = { ...tenant, base, token: await tokenOf(last, tenant.account_id, tenant.client) };
    expect((await token(fresh, login)).status).toBe(200);
    expect(await tryAll(last, fresh)).toMatchObject({ browser: "login_required", minted: [400, expect.anything()] });
    await last.close();
  });
});

/** The commands that the guide has run before a restored database is served. */
function commandsAfterRestore(): readonly string[] {
  const [, step = ""] = textOf("docs/guides/upkeep.md").split("Before you start the server:");
  const [list = ""] = step.split("Rehearse a restore");
  return [...list.matchAll(/^- .*?`npx --no latchkey ([^`]* <account> [^`]*)` for every account/gm)].map(
    ([, one]) => one ?? "",
  );
}

describeOnBothEngines("after a restore", (engine) => {
  it("ends what was ended after the backup, also where no refresh token came of it", async () => {
    const before = await startLatchkey(engine);
    const { database, config } = before;
    const tenant = await createTenant(before);
    const { account_id } = tenant;
    const own = await addClient(before, account_id, {
      first_party: true,
      grant_types: ["authorization_code", "client_credentials"],
    });
    await addGrant(before, account_id, own, "https://api.shop.example", ["orders:read"]);
    const standard = standardClient(before, tenant, own);
    const login = (await standard.redeem(await standard.codeFor())).body;
    expect(login).toEqual(expect.not.objectContaining({ refresh_token: expect.anything() }));
    const form = { grant_type: "client_credentials", resource: "https://api.shop.example" };
    const of_client = (await standard.token(form)).body;
    // The backup is what the database is now: none of these was revoked yet.
    await before.stop();

    await run(database, statementsFor(engine));
    const env = { DATABASE_URL: database.database_url, PUBLIC_URL: config.public_url, MASTER_KEY };
    for (const command of commandsAfterRestore()) {
      const done = await cli(env, ...command.replace("<account>", account_id).split(" "));
      expect(done.code, done.stderr).toBe(0);
    }
    const after = await startLatchkey(engine, { database, public_url: config.public_url });
    const base = `${after.url}/v1/accounts/${account_id}`;
    for (const { access_token } of [login, of_client]) {
      const headers = { authorization: basic(own) };
      const asked = await call(`${base}/oauth/introspect`, { method: "POST", headers, form: { token: access_token } });
      expect(asked.body).toEqual({ active: false });
    }
    expect((await call(`${base}/oauth/userinfo`, { token: login.access_token })).status).toBe(401);
    await after.close();
  });
});
