/** What was acknowledged survives kill -9 at any instant, and nothing is redeemable twice. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import type { Tenant } from "../support/latchkey.ts";
import { judge, roundsOr, startLoad, untilServed } from "../support/load.ts";
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
    const runs = roundsOr(4);
    const load = startLoad([tenant]);
    let back_ms = 0;
    for (let round = 0; round < runs; round++) {
      const before = load.codes.size;
      while (load.codes.size < before + 4) await pause(10);
      await pause((round * 37) % 200);
      await server.kill("SIGKILL");
      const killed = performance.now();
      server = await start();
      await untilServed(tenant);
      back_ms = Math.max(back_ms, Math.round(performance.now() - killed));
    }
    await load.stop();
    expect(load.dropped, "it was killed under load").toBeGreaterThan(0);
    await judge(tenant, load, { fault: "kill -9 under load", engine, runs, back_ms });
  });
});
