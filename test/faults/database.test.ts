/** The database goes away, slows down, stands still or is another one: nothing acknowledged is lost, nobody waits for ever. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, openCluster } from "../support/cluster.ts";
import { createTestDatabase, type TestDatabase } from "../support/engines.ts";
import { authorize, type Tenant } from "../support/latchkey.ts";
import { DEADLINE, judge, roundsOr, startLoad, untilServed } from "../support/load.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { openWire, pause, type Wire } from "../support/wire.ts";

const PUBLIC_URL = "http://localhost:9";
const through = (wire: Wire, database_url: string) =>
  database_url.replace(/127\.0\.0\.1:\d+|localhost:\d+/, `127.0.0.1:${wire.port}`);

describe("the wire to PostgreSQL", () => {
  let database: TestDatabase;
  let wire: Wire;
  let server: ServerProcess;
  let tenant: Tenant;
  beforeAll(async () => {
    database = await createTestDatabase("postgres");
    wire = await openWire(Number(new URL(database.database_url).port));
    server = await startProcess({ database_url: through(wire, database.database_url), env: { PUBLIC_URL } });
    tenant = await createTenantBeside(database.database_url, server.url, PUBLIC_URL);
    // The first login makes the account's keys.
    await untilServed(tenant);
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    await wire.close();
    await database.drop();
  });

  it("is cut for two seconds, again and again", { timeout: 600_000 }, async () => {
    const runs = roundsOr(2);
    const load = startLoad([tenant]);
    await load.underWay();
    let back_ms = 0;
    for (let round = 0; round < runs; round++) {
      await pause(700);
      wire.cut();
      await pause(2_000);
      wire.mend();
      back_ms = Math.max(back_ms, await untilServed(tenant));
    }
    await pause(500);
    await load.stop();
    expect([...load.refused.keys()]).toEqual(["503 temporarily_unavailable"]);
    expect(load.dropped).toBe(0);
    await judge(tenant, load, { fault: "wire to PostgreSQL cut for 2 s", engine: "postgres", runs, back_ms });
  });

  it("is slow: 100 ms each way, and nobody is refused", { timeout: 60_000 }, async () => {
    const load = startLoad([tenant]);
    await load.underWay();
    wire.delay = 100;
    await pause(4_000);
    wire.delay = 0;
    const back_ms = await untilServed(tenant);
    await load.stop();
    expect([[...load.refused], load.dropped]).toEqual([[], 0]);
    await judge(tenant, load, {
      fault: "wire to PostgreSQL slow, 100 ms each way",
      engine: "postgres",
      runs: 1,
      back_ms,
    });
  });

  for (const [how, hold, release] of [
    [
      "stands still, then goes on",
      () => Object.assign(wire, { frozen: true }),
      () => Object.assign(wire, { frozen: false }),
    ],
    ["forgets its connections without a word", () => wire.forget(), () => {}],
  ] as const) {
    it(`${how}: everybody is told so within the deadline, and it mends itself`, { timeout: 120_000 }, async () => {
      const load = startLoad([tenant]);
      await load.underWay();
      hold();
      const began = performance.now();
      const told = await authorize(tenant, { verification_code: "7KQM4-X2PVD" });
      expect(performance.now() - began).toBeLessThan(DEADLINE);
      expect([told.status, told.body.error.code, told.headers.get("retry-after")]).toEqual([
        503,
        "temporarily_unavailable",
        "1",
      ]);
      release();
      const back_ms = await untilServed(tenant);
      await pause(500);
      await load.stop();
      expect([...load.refused.keys()]).toEqual(["503 temporarily_unavailable"]);
      await judge(tenant, load, { fault: `wire to PostgreSQL ${how}`, engine: "postgres", runs: 1, back_ms });
    });
  }
});

describe("a primary that is lost", () => {
  let cluster: Cluster | undefined;
  beforeAll(async () => {
    cluster = await openCluster();
    if (!cluster) console.warn("No pg_basebackup here: the failover is not tried.");
  });
  afterAll(() => cluster?.stop());

  it("is followed by its synchronous standby, which has everything that was acknowledged", {
    timeout: 120_000,
  }, async ({ skip }) => {
    if (!cluster) return skip();
    const wire = await openWire(cluster.primary);
    const database_url = `postgres://latchkey@127.0.0.1:${wire.port}/postgres`;
    const server = await startProcess({ database_url, env: { PUBLIC_URL } });
    try {
      const tenant = await createTenantBeside(database_url, server.url, PUBLIC_URL);
      await untilServed(tenant);
      const load = startLoad([tenant]);
      await load.underWay();
      await cluster.killPrimary();
      wire.cut();
      await cluster.promote();
      wire.targets = [cluster.standby];
      wire.mend();
      const back_ms = await untilServed(tenant);
      await pause(1_000);
      await load.stop();
      const fault = "primary killed, its synchronous standby promoted";
      await judge(tenant, load, { fault, engine: "postgres", runs: 1, back_ms });
    } finally {
      await server.kill("SIGTERM");
      await wire.close();
    }
  });
});
