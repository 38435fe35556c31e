/** What was acknowledged survives kill -9 at any instant, and nothing is redeemable twice. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { basic, call, type Reply, type Tenant, type TestClient } from "../support/latchkey.ts";
import { DEADLINE, judge, note, roundsOr, startLoad, untilServed } from "../support/load.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { pause } from "../support/wire.ts";

describeOnBothEngines("kill -9 under load", (engine) => {
  let database: TestDatabase;
  let port: number;
  let server: ServerProcess;
  let tenant: Tenant;
  const env = () => ({ PUBLIC_URL: `http://localhost:${port}` });
  const start = () => startProcess({ database_url: database.database_url, port, env: env() });
  beforeAll(async () => {
    database = await createTestDatabase(engine);
    port = await freePort();
    server = await start();
    tenant = await createTenantBeside(database.database_url, server.url, env().PUBLIC_URL);
    await untilServed(tenant);
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    await database.drop();
  });

  it("again and again: everything that was acknowledged is there afterwards, once", { timeout: 900_000 }, async () => {
    // Four times as often as other faults: where in its work it dies is chance.
    const runs = 4 * roundsOr(1);
    const load = startLoad([tenant]);
    const owner = startOwner(tenant);
    let back_ms = 0;
    for (let round = 0; round < runs; round++) {
      const [codes, secrets] = [load.codes.size, owner.secrets.length];
      while (load.codes.size < codes + 4 || owner.secrets.length < secrets + 2) await pause(10);
      await pause((round * 37) % 200);
      await server.kill("SIGKILL");
      const killed = performance.now();
      server = await start();
      await untilServed(tenant);
      back_ms = Math.max(back_ms, Math.round(performance.now() - killed));
      expect(await owner.lost(), `secrets lost by life ${round + 1}`).toEqual([]);
    }
    await Promise.all([load.stop(), owner.stop()]);
    const acknowledged = owner.secrets.length;
    note({
      fault: "kill -9 under load: clients, and their secrets",
      engine,
      runs,
      acknowledged,
      lost: 0,
      twice: 0,
      hung: 0,
    });
    expect(load.dropped, "it was killed under load").toBeGreaterThan(0);
    await judge(tenant, load, { fault: "kill -9 under load", engine, runs, back_ms });
  });
});

/** Somebody who makes clients and rotates their secrets all the time. */
function startOwner(tenant: Tenant) {
  /** Every secret that was acknowledged: rotated ones go on meanwhile. */
  const secrets: TestClient[] = [];
  let running = true;
  const ask = (path: string, json?: object): Promise<Reply | undefined> => {
    const signal = AbortSignal.timeout(DEADLINE);
    const options = { method: "POST", token: tenant.token, signal, ...(json ? { json } : {}) };
    return call(`${tenant.base}/auth/clients${path}`, options).catch(() => undefined);
  };
  async function live(): Promise<void> {
    for (let n = 0; running; n++) {
      const made = await ask("", { name: `Shop ${n}` });
      if (made?.status === 200) secrets.push(made.body);
      const rotated = made?.status === 200 && (await ask(`/${made.body.id}/rotate-secret?overlap_seconds=86400`));
      if (rotated && rotated.status === 200) secrets.push(rotated.body);
      await pause(30);
    }
  }
  const works = async (client: TestClient): Promise<boolean> => {
    const options = { method: "POST", headers: { authorization: basic(client) }, form: { token: "x" } };
    return (await call(`${tenant.base}/oauth/introspect`, options)).status === 200;
  };
  const ended = live();
  return {
    secrets,
    /** The clients of those that do not work. */
    async lost(): Promise<readonly string[]> {
      const lost: string[] = [];
      for (const client of [...secrets]) if (!(await works(client))) lost.push(client.id);
      return lost;
    },
    async stop() {
      running = false;
      await ended;
    },
  };
}
