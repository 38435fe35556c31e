/**
 * The disk under the database is full: everybody is told so, nothing acknowledged is lost, and with room it goes on by
 * itself.
 */
import { join } from "node:path";
import { expect, it } from "vitest";
import { type Lone, openLone } from "../support/cluster.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, type Tenant } from "../support/latchkey.ts";
import { judge, roundsOr, startLoad, untilServed } from "../support/load.ts";
import { startProcess } from "../support/process.ts";
import { openSmallDisk } from "../support/small-disk.ts";
import { until } from "../support/smtp.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { pause } from "../support/wire.ts";

const PUBLIC_URL = "http://localhost:9";
/** Megabytes: enough for all rounds, a log of SQLite at its longest included. */
const SIZE = { sqlite: 64, postgres: 200 };
/** Whoever was refused so often has met a full disk, and not one moment. */
const REFUSALS = 20;

describeOnBothEngines("a full disk", (engine) => {
  it("refuses, loses nothing, and serves again when there is room", { timeout: 300_000 }, async ({ skip }) => {
    const disk = openSmallDisk(SIZE[engine]);
    if (!disk) {
      console.warn("Nobody may mount a small disk here: a full one is not tried.");
      return skip();
    }
    let lone: Lone | undefined;
    if (engine === "postgres") lone = await openLone(disk.folder, "min_wal_size=32MB", "max_wal_size=64MB");
    const database_url = lone?.database_url ?? `sqlite:${join(disk.folder, "latchkey.db")}`;
    const server = await startProcess({ database_url, env: { PUBLIC_URL } });
    try {
      const tenant = await createTenantBeside(database_url, server.url, PUBLIC_URL);
      await untilServed(tenant);
      const runs = roundsOr(1);
      let back_ms = 0;
      const load = startLoad([tenant]);
      const refused = () => [...load.refused.values()].reduce((sum, count) => sum + count, 0);
      await load.underWay();
      for (let round = 0; round < runs; round++) {
        await pause(1_500);
        const enough = refused() + REFUSALS;
        await until(
          "refusals",
          () => {
            // A log that starts anew, or a table that is swept, makes a little room.
            disk.fill();
            return refused() >= enough || undefined;
          },
          90_000,
        );
        const told = await until("a refusal to look at", async () => {
          disk.fill();
          const reply = await signUp(tenant);
          return reply.status >= 500 ? reply : undefined;
        });
        expect([told.status, told.body.error.code]).toEqual([503, "temporarily_unavailable"]);
        expect(told.headers.get("retry-after")).toBe("1");
        expect((await call(`${server.url}/healthz`)).status, "the process lives").toBe(200);
        expect(disk.empty(), "bytes of room").toBeGreaterThan(1_000_000);
        const freed = performance.now();
        await lone?.revive();
        await untilServed(tenant);
        back_ms = Math.max(back_ms, Math.round(performance.now() - freed));
      }
      await pause(1_000);
      await load.stop();
      expect([...load.refused.keys()]).toEqual(["503 temporarily_unavailable"]);
      expect(load.dropped).toBe(0);
      await judge(tenant, load, { fault: "disk full under load", engine, runs, back_ms });
    } finally {
      await server.kill("SIGTERM");
      await lone?.stop();
      disk.remove();
    }
  });
});

function signUp(tenant: Tenant) {
  const json = { email: `full-${Math.random().toString(36).slice(2)}@example.com` };
  return call(`${tenant.base}/customers/users`, { method: "POST", token: tenant.token, json });
}
