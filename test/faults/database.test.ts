/** The database goes away, slows down, stands still or is another one: nothing acknowledged is lost, nobody waits for ever. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Cluster, openCluster } from "../support/cluster.ts";
import { createTestDatabase, type TestDatabase } from "../support/engines.ts";
import { authorize, mintCode, type Tenant } from "../support/latchkey.ts";
import { DEADLINE, judge, makePeople, startLoad, untilServed } from "../support/load.ts";
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
  let people: string[];
  beforeAll(async () => {
    database = await createTestDatabase("postgres");
    wire = await openWire(Number(new URL(database.database_url).port));
    server = await startProcess({ database_url: through(wire, database.database_url), env: { PUBLIC_URL } });
    tenant = await createTenantBeside(database.database_url, server.url, PUBLIC_URL);
    people = await makePeople(tenant, 9);
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    await wire.close();
    await database.drop();
  });

  it("is cut for two seconds, five times", { timeout: 120_000 }, async () => {
    const load = startLoad(tenant, people.slice(1));
    let back = 0;
    for (let round = 0; round < 5; round++) {
      await pause(500);
      wire.cut();
      await pause(2_000);
      wire.mend();
      back = Math.max(back, await untilServed(tenant, people[0] ?? ""));
    }
    await load.stop();
    expect([...load.refused.keys()].filter((status) => status !== 503 && status !== 400)).toEqual([]);
    await judge("wire to PostgreSQL cut for 2 s, 5 times", tenant, load, back);
  });

  it("is slow: 100 ms each way", { timeout: 60_000 }, async () => {
    const load = startLoad(tenant, people.slice(1));
    await pause(300);
    wire.delay = 100;
    await pause(3_000);
    wire.delay = 0;
    const back = await untilServed(tenant, people[0] ?? "");
    await load.stop();
    expect(Object.fromEntries(load.refused)).toEqual({});
    await judge("wire to PostgreSQL delayed by 100 ms each way", tenant, load, back);
  });

  it("stands still: everybody is told so within the deadline, and it goes on by itself", {
    timeout: 120_000,
  }, async () => {
    const load = startLoad(tenant, people.slice(1));
    await pause(500);
    wire.frozen = true;
    const began = performance.now();
    const told = await authorize(tenant, { verification_code: "7KQM4-X2PVD" });
    expect(performance.now() - began).toBeLessThan(DEADLINE);
    expect([told.status, told.body.error.code, told.headers.get("retry-after")]).toEqual([
      503,
      "temporarily_unavailable",
      "1",
    ]);
    wire.frozen = false;
    const back = await untilServed(tenant, people[0] ?? "");
    await load.stop();
    await judge("wire to PostgreSQL held still past the deadline", tenant, load, back);
  });
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
      const people = await makePeople(tenant, 9);
      const load = startLoad(tenant, people.slice(1));
      await pause(2_000);
      await cluster.killPrimary();
      wire.cut();
      await cluster.promote();
      wire.targets = [cluster.standby];
      wire.mend();
      const back = await untilServed(tenant, people[0] ?? "");
      await pause(1_000);
      await load.stop();
      await judge("primary killed under load, synchronous standby promoted", tenant, load, back);
      // A code that the old primary acknowledged works on the new one.
      expect((await authorize(tenant, { verification_code: await mintCode(tenant) })).status).toBe(302);
    } finally {
      await server.kill("SIGTERM");
      await wire.close();
    }
  });
});
