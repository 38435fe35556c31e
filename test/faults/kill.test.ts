/** What was acknowledged survives kill -9 at any instant, and nothing is redeemable twice. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { authorize, call, mintCode, type Tenant } from "../support/latchkey.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { createTenantBeside } from "../support/tenants.ts";

const KILLS = 20;

interface Acknowledged {
  /** Codes that were handed out, and what became of them as far as we were told. */
  readonly codes: Map<string, "minted" | "asked" | "redeemed">;
  readonly clients: string[];
  asked: number;
}

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
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    await database.drop();
  });

  /** One worker after another is busy until the server dies under it. */
  async function work(told: Acknowledged, alive: () => boolean, user: string): Promise<void> {
    while (alive()) {
      try {
        const verification_code = await mintCode(tenant, { user_id: user, format: "link" });
        told.codes.set(verification_code, "minted");
        const created = await call(`${tenant.base}/auth/clients`, {
          method: "POST",
          token: tenant.token,
          json: { name: "made under load" },
        });
        if (created.status === 200) told.clients.push(created.body.id);
        told.codes.set(verification_code, "asked");
        const reply = await authorize(tenant, { verification_code });
        told.asked++;
        if (reply.status === 302) told.codes.set(verification_code, "redeemed");
      } catch {
        // The server is gone; what it had not acknowledged may or may not be there.
      }
    }
  }

  it(`${KILLS} times: every acknowledged code, redemption and client is there afterwards`, {
    timeout: 240_000,
  }, async () => {
    const users = await Promise.all(
      Array.from({ length: 4 }, async (_, n) => {
        const json = { email: `load-${n}@example.com` };
        return (await call(`${tenant.base}/customers/users`, { method: "POST", token: tenant.token, json })).body
          .id as string;
      }),
    );
    const told: Acknowledged = { codes: new Map(), clients: [], asked: 0 };
    let redeemedTwice = 0;
    for (let round = 0; round < KILLS; round++) {
      let running = true;
      const before = new Set(told.codes.keys());
      const workers = users.map((user) => work(told, () => running, user));
      await new Promise((resolve) => setTimeout(resolve, 60 + ((round * 37) % 200)));
      await server.kill("SIGKILL");
      running = false;
      await Promise.all(workers);
      server = await start();
      for (const [verification_code, state] of told.codes) {
        if (before.has(verification_code)) continue;
        const reply = await authorize(tenant, { verification_code });
        const answer = reply.status === 302 ? "302" : String(reply.body?.error?.code);
        if (state === "redeemed") {
          if (reply.status === 302) redeemedTwice++;
          expect(answer, "an acknowledged redemption").toBe("verification_code_used");
        } else {
          // Minted and acknowledged: it is known, be it fresh or spent by an answer that was lost.
          expect(["302", "verification_code_used"], `a code that was ${state}`).toContain(answer);
          const again = await authorize(tenant, { verification_code });
          expect(again.body?.error?.code).toBe("verification_code_used");
        }
      }
    }
    const clients = (await call(`${tenant.base}/auth/clients`, { token: tenant.token })).body.map(
      ({ id }: { id: string }) => id,
    );
    expect(told.clients.filter((id) => !clients.includes(id))).toEqual([]);
    expect(redeemedTwice).toBe(0);
    expect([...told.codes.values()].filter((state) => state === "redeemed").length).toBeGreaterThan(KILLS);
    expect(told.clients.length).toBeGreaterThan(KILLS);
  });
});
