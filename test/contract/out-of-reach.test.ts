/**
 * The 503 that every operation declares: the database is out of reach, and whoever asks is told to come back, in the
 * shape of each surface.
 */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openLogger } from "../../src/telemetry/log.ts";
import { type Breakable, startBreakable } from "../support/breakable.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { authorize, basic, call, createTenant, mintCode, type Reply, type Tenant } from "../support/latchkey.ts";

describeOnBothEngines("a database that is out of reach", (engine) => {
  let latchkey: Breakable;
  let tenant: Tenant;
  const logs: string[] = [];
  beforeAll(async () => {
    latchkey = await startBreakable(engine, { log: openLogger("error", { write: (line) => void logs.push(line) }) });
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const told = ({ status, headers, body }: Reply) => [status, headers.get("retry-after"), body];

  it("or a list of revocations that cannot be read says in the log why", async () => {
    const { storage } = latchkey.server.core;
    const rename = (from: string, to: string) =>
      storage.write((tx) => sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(tx.db));
    const told = () => logs.map((line) => JSON.parse(line)).find(({ msg }) => msg === "revocations cannot be read");
    await rename("revocations", "elsewhere");
    await expect.poll(told, { timeout: 20_000 }).toBeTruthy();
    expect(told()).toMatchObject({ level: "error", err: { message: expect.stringContaining("revocations") } });
    await rename("elsewhere", "revocations");
    await expect.poll(() => latchkey.server.core.directory.revocations.isFresh(), { timeout: 20_000 }).toBe(true);
  });

  it("is not what is told where messages cannot be counted", async () => {
    const { storage } = latchkey.server.core;
    const rename = (from: string, to: string) =>
      storage.write((tx) => sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(tx.db));
    await rename("outbox", "elsewhere");
    const { status, body } = await call(`${latchkey.url}/readyz`);
    await rename("elsewhere", "outbox");
    expect([status, body]).toEqual([
      200,
      { status: "ready", checks: { database: "ok", revocations: "ok" }, degraded: {} },
    ]);
  });

  it.runIf(engine === "sqlite")("that another process writes to holds up nobody who only reads", async () => {
    const { directory, storage } = latchkey.server.core;
    await storage.write(({ db }) => db.updateTable("client_secrets").set({ last_used_at: null }).execute());
    directory.secrets.clear();
    const asking = { method: "POST", headers: { authorization: basic(tenant.client) }, form: { token: tenant.token } };
    latchkey.cut();
    let over = false;
    const written = storage
      .write(({ db }) => db.updateTable("accounts").set({ name: "Held" }).execute())
      .finally(() => {
        over = true;
      });
    written.catch(() => {});
    expect((await call(`${latchkey.url}/healthz`)).status).toBe(200);
    expect((await call(`${tenant.base}/oauth/introspect`, asking)).body).toMatchObject({ active: true });
    expect(over, "it still waits").toBe(false);
    latchkey.mend();
    await written;
    const used = () => storage.read.selectFrom("client_secrets").select("id").where("last_used_at", "is not", null);
    await expect.poll(() => used().execute()).toHaveLength(1);
  });

  it("is a 503 on each surface, which spends nothing, and shows in /readyz", async () => {
    const verification_code = await mintCode(tenant);
    const form = { grant_type: "client_credentials", audience: tenant.issuer };
    const headers = { authorization: basic(tenant.client) };
    const asked = [
      () => authorize(tenant, { verification_code }),
      () => call(`${tenant.base}/oauth/token`, { method: "POST", headers, form }),
    ] as const;
    latchkey.cut();
    const [account, standard] = await Promise.all([asked[0](), asked[1]()]);
    const message = "The service is temporarily unavailable.";
    expect(told(account)).toEqual([503, "1", { error: { code: "temporarily_unavailable", message } }]);
    expect(told(standard)).toEqual([503, "1", { error: "temporarily_unavailable", error_description: message }]);
    latchkey.mend();
    for (const [index, status] of [302, 200].entries())
      await expect.poll(async () => (await asked[index]?.())?.status, { timeout: 20_000 }).toBe(status);
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body;
    for (const path of ["/auth/authorize", "/oauth/token"])
      expect(paths[`/v1/accounts/{oid}${path}`].post.responses, path).toHaveProperty("503");
    // A file that is held by somebody is read all the same.
    if (engine === "sqlite") await latchkey.server.core.storage.close();
    else latchkey.cut();
    const { status, body } = await call(`${latchkey.url}/readyz`);
    expect([status, body]).toMatchObject([503, { status: "not ready", checks: { database: "failed" } }]);
    expect((await call(`${latchkey.url}/healthz`)).status).toBe(200);
  });
});
