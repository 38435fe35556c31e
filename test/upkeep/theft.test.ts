/** What SECURITY.md tells to do after a theft of database and master key does what it says, statement by statement. */
import { readFileSync } from "node:fs";
import Sqlite from "libsql";
import pg from "pg";
import { expect, it } from "vitest";
import type { Engine } from "../../src/storage/storage.ts";
import { describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { call, createTenant, MASTER_KEY, mintCode, startLatchkey } from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
import { cli } from "../support/process.ts";

const NEW_KEY = Buffer.alloc(32, 9).toString("base64");

function statementsFor(engine: Engine): string {
  const text = readFileSync(new URL("../../SECURITY.md", import.meta.url), "utf8");
  const [postgres, sqlite, both] = [...text.matchAll(/```sql\n([\s\S]*?)```/g)].map(([, block]) => block ?? "");
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

describeOnBothEngines("after a theft of database and master key", (engine) => {
  it("ends every login and code, so that the old key can go at once", async () => {
    const before = await startLatchkey(engine);
    const { database, config } = before;
    const tenant = await createTenant(before);
    const person = await addPerson(before, tenant.account_id);
    const login = { grant_type: "password", username: person.email, password: PASSWORD, audience: tenant.audience };
    const logged_in = (await token(tenant, login)).body;
    expect(logged_in.refresh_token).toEqual(expect.any(String));
    await mintCode(tenant);
    await before.stop();

    await run(database, statementsFor(engine));
    const env = { DATABASE_URL: database.database_url, PUBLIC_URL: config.public_url };
    const resealed = await cli({ ...env, MASTER_KEY: `${NEW_KEY},${MASTER_KEY}` }, "keys", "reseal");
    expect(resealed.stdout, resealed.stderr).toContain("Nothing hangs on an older key");

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
    await after.close();
  });
});
