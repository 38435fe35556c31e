/** Of three processes on one PostgreSQL one stands still and one dies: the third goes on, and nobody is let in twice. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/engines.ts";
import { authorize, call, mintCode, type Tenant } from "../support/latchkey.ts";
import { judge, startLoad, untilServed } from "../support/load.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { pause } from "../support/wire.ts";

const PUBLIC_URL = "http://localhost:9";
/** How long a proxy in front of them waits; longer than a process waits for its database. */
const PATIENCE = 7_000;
/** Longer than a process may go without having read revocations. */
const FROZEN = 12_000;

describe("of three processes", () => {
  let database: TestDatabase;
  let servers: ServerProcess[];
  let [alive, frozen, dead]: Tenant[] = [];
  beforeAll(async () => {
    database = await createTestDatabase("postgres");
    const start = () => startProcess({ database_url: database.database_url, env: { PUBLIC_URL } });
    servers = await Promise.all([start(), start(), start()]);
    const tenant = await createTenantBeside(database.database_url, servers[0]?.url ?? "", PUBLIC_URL);
    [alive, frozen, dead] = servers.map(({ url }) => ({ ...tenant, base: `${url}/v1/accounts/${tenant.account_id}` }));
    await Promise.all([alive, frozen, dead].map((tenant) => untilServed(tenant as Tenant)));
  });
  afterAll(async () => {
    servers[1]?.signal("SIGCONT");
    await Promise.all(servers.map((server) => server.kill("SIGTERM")));
    await database.drop();
  });

  it("one is frozen and one is killed: nobody is held up, and the frozen one honours what it missed", {
    timeout: 180_000,
  }, async () => {
    if (!alive || !frozen || !dead) throw new Error("there are three");
    const spent_elsewhere = await mintCode(alive);
    const { account_id } = alive;
    const leaving = await createTenantBeside(database.database_url, servers[0]?.url ?? "", PUBLIC_URL, { account_id });
    expect((await read(frozen, leaving.token)).status, "it works before").toBe(200);

    const load = startLoad([alive, frozen, dead], { patience: PATIENCE });
    await load.underWay();
    servers[1]?.signal("SIGSTOP");
    const stopped = performance.now();
    await pause(1_000);
    await servers[2]?.kill("SIGKILL");

    // What the frozen one does not see, and what lies at its door meanwhile.
    const late = {
      read: read(frozen, leaving.token),
      redeem: authorize(frozen, { verification_code: spent_elsewhere }),
    };
    expect((await authorize(alive, { verification_code: spent_elsewhere })).status).toBe(302);
    const gone = { method: "DELETE", token: alive.token };
    expect((await call(`${alive.base}/auth/clients/${leaving.client.id}`, gone)).status).toBe(200);
    await pause(FROZEN - (performance.now() - stopped));
    servers[1]?.signal("SIGCONT");
    expect([401, 503]).toContain((await late.read).status);
    const { status, body } = await late.redeem;
    expect([status, body.error.code]).toEqual(
      status === 503 ? [503, "temporarily_unavailable"] : [400, "verification_code_used"],
    );
    const back_ms = await untilServed(frozen);
    expect((await read(frozen, leaving.token)).status, "deleted while it was frozen").toBe(401);
    await pause(1_000);
    await load.stop();

    expect(load.hung[1], "requests to the frozen one ended at the client's deadline").toBeGreaterThan(0);
    expect(load.dropped, "requests to the dead one ended").toBeGreaterThan(0);
    load.hung[1] = 0;
    await judge(frozen, load, {
      fault: "of three processes one frozen, one killed",
      engine: "postgres",
      runs: 1,
      back_ms,
    });
  });
});

const read = (tenant: Tenant, token: string) => call(`${tenant.base}/auth/clients`, { token });
