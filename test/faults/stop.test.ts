/**
 * SIGTERM: what reached the server is answered, what it did not answer it did not do, and it ends with 0, whatever does
 * not answer in its turn.
 */
import { once } from "node:events";
import { Agent, request } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { sendHalf } from "../support/half-sent.ts";
import { authorize, CALLBACK, MASTER_KEY, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { note, roundsOr, untilServed } from "../support/load.ts";
import { cli, type ServerProcess, startProcess } from "../support/process.ts";
import { openReceiver } from "../support/receiver.ts";
import { until } from "../support/smtp.ts";
import { addPerson, createTenantBeside } from "../support/tenants.ts";
import { pause } from "../support/wire.ts";

const LIVES = 12;

/**
 * How a request ended. `refused`: there was nobody to connect to any more; the system says so at once, or resets what
 * it had queued for a listener that is gone. `unread`: it went out on a connection that had been kept alive, and that
 * was closed at the same moment, before a byte came back. `broken`: anything else, which must not happen.
 */
type Ending = { status: number; text: string } | "refused" | "unread" | "broken";

function ask(agent: Agent, url: URL, token: string, json?: object): Promise<Ending> {
  return new Promise((resolve) => {
    const headers = { authorization: `Bearer ${token}`, ...(json ? { "content-type": "application/json" } : {}) };
    const asking = request(url, { agent, method: "POST", headers });
    let begun = false;
    const failed = ({ code }: NodeJS.ErrnoException) => {
      const turned_away = code === "ECONNREFUSED" || code === "ECONNRESET";
      if (begun) resolve("broken");
      else resolve(asking.reusedSocket ? "unread" : turned_away ? "refused" : "broken");
    };
    asking.on("error", failed);
    asking.on("response", (response) => {
      begun = true;
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
      response.on("error", failed);
    });
    asking.end(json ? JSON.stringify(json) : undefined);
  });
}

describeOnBothEngines("SIGTERM under load", (engine) => {
  let database: TestDatabase;
  let port: number;
  let server: ServerProcess;
  let tenant: Tenant;
  let people: string[];
  const start = () =>
    startProcess({ database_url: database.database_url, port, env: { PUBLIC_URL: `http://localhost:${port}` } });
  beforeAll(async () => {
    database = await createTestDatabase(engine);
    port = await freePort();
    server = await start();
    tenant = await createTenantBeside(database.database_url, server.url, `http://localhost:${port}`);
    await untilServed(tenant);
    people = await Promise.all(Array.from({ length: LIVES }, (_, n) => addPerson(tenant, `stop-${n}@example.com`)));
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    await database.drop();
  });

  it("loses no request, again and again", { timeout: 600_000 }, async () => {
    const runs = roundsOr(3);
    const ends = { answered: 0, refused: 0, unread: 0, broken: 0, failed: [] as string[] };
    const unanswered: string[] = [];
    const lost: string[] = [];
    const mintAt = new URL(`${tenant.base}/auth/passwordless/code`);
    let longest = 0;

    /** Logs in until the server is gone. */
    async function live(user_id: string, agent: Agent): Promise<void> {
      for (;;) {
        const minting = { user_id, format: "link", audience: tenant.audience, client_id: tenant.client.client_id };
        const code = count(await ask(agent, mintAt, tenant.token, minting));
        if (code === undefined) return;
        const { verification_code } = JSON.parse(code);
        if (count(await ask(agent, redeemAt(tenant, verification_code), tenant.token)) === undefined)
          return void unanswered.push(verification_code);
      }
    }
    function count(ending: Ending): string | undefined {
      if (typeof ending === "string") {
        ends[ending]++;
        return undefined;
      }
      ends.answered++;
      if (ending.status !== 200 && ending.status !== 302) ends.failed.push(`${ending.status} ${ending.text}`);
      return ending.text;
    }

    for (let round = 0; round < runs; round++) {
      const agent = new Agent({ keepAlive: true, maxSockets: LIVES });
      const lives = people.map((person) => live(person, agent));
      await pause(1_000 + ((round * 137) % 400));
      const told = performance.now();
      expect(await server.kill("SIGTERM")).toBe(0);
      longest = Math.max(longest, Math.round(performance.now() - told));
      await Promise.all(lives);
      agent.destroy();
      server = await start();
      for (const verification_code of unanswered.splice(0)) {
        const { status, text } = await authorize(tenant, { verification_code });
        if (status !== 302) lost.push(text);
      }
    }
    const { answered, broken, failed, unread } = ends;
    note({
      fault: "SIGTERM under load",
      engine,
      runs,
      acknowledged: answered,
      lost: lost.length,
      twice: 0,
      hung: 0,
      stop_ms: longest,
      unread,
    });
    expect({ broken, failed, lost }, JSON.stringify(ends)).toEqual({ broken: 0, failed: [], lost: [] });
    expect(answered).toBeGreaterThan(runs * LIVES);
    expect(longest, "the drain's deadline").toBeLessThan(25_000);
  });
});

it("SIGTERM waits for nobody who does not finish asking", { timeout: 120_000 }, async () => {
  const database = await createTestDatabase("sqlite");
  const server = await startProcess({ database_url: database.database_url });
  const silent = connect(server.port, "127.0.0.1");
  silent.on("error", () => {});
  await once(silent, "connect");
  await sendHalf(server.port, "/v1/accounts/T10000001/auth/token", "{}");
  const told = performance.now();
  expect(await server.kill("SIGTERM")).toBe(0);
  expect(performance.now() - told).toBeLessThan(25_000);
  await database.drop();
});

/** Collectors of traces that take none, by what they do. */
const collectors = {
  async "is not there"() {
    return { url: `http://127.0.0.1:${await freePort()}`, close: () => {} };
  },
  async "says nothing"() {
    const server = createServer((socket) => void socket.on("error", () => {}).resume());
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, close: () => void server.close() };
  },
};

describeOnBothEngines("a collector of traces that takes none", (engine) => {
  it.each(["is not there", "says nothing"] as const)("and %s holds up no SIGTERM, and is named once", async (kind) => {
    const database = await createTestDatabase(engine);
    const collector = await collectors[kind]();
    const { database_url } = database;
    const server = await startProcess({ database_url, env: { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url } });
    await fetch(`${server.url}/readyz`);
    expect(await server.kill("SIGTERM"), server.output()).toBe(0);
    expect(server.output()).not.toContain("DATABASE_URL");
    const [warning, ...more] = server.output().match(/"level":"warn".*spans are lost/g) ?? [];
    expect(more).toEqual([]);
    expect(warning).toMatch(kind === "says nothing" ? /not done in \d+ ms/ : /ECONNREFUSED|not done in/);
    collector.close();
    await database.drop();
  });

  it("is named when it begins to refuse them, and again when it takes them", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    let status = 404;
    const collector = await openReceiver(() => [status, "{}"]);
    const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url, OTEL_BSP_SCHEDULE_DELAY: "50" };
    const server = await startProcess({ database_url, env });
    const sent = async (count: number) => {
      const before = collector.all.length;
      await until(`${count} batches`, async () => {
        await fetch(`${server.url}/readyz`);
        return collector.all.length >= before + count || undefined;
      });
    };
    await sent(3);
    status = 200;
    await sent(3);
    expect(await server.kill("SIGTERM"), server.output()).toBe(0);
    const lines = server
      .output()
      .split("\n")
      .filter((line) => line.includes("the collector "));
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { level: "warn", status: 404, msg: "the collector takes no traces: spans are lost" },
      { level: "info", msg: "the collector takes traces again" },
    ]);
    await collector.close();
    await drop();
  });

  it("leaves the reason why a start failed as it was", async () => {
    const database = await createTestDatabase(engine);
    const taken = createServer();
    await once(taken.listen(0, "127.0.0.1"), "listening");
    const { port } = taken.address() as AddressInfo;
    const { url } = await collectors["is not there"]();
    const env = {
      DATABASE_URL: database.database_url,
      MASTER_KEY,
      PORT: String(port),
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
    };
    expect(await cli({ ...env, DEMO: "0" }, "serve")).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(new RegExp(`^PORT ${port} is in use`)),
    });
    taken.close();
    await database.drop();
  });

  it("is one of the parts of which none keeps the others from stopping", async () => {
    const latchkey = await startLatchkey(engine);
    const { app, core, stop } = latchkey.server;
    const close = app.close.bind(app);
    app.close = (() => Promise.reject(new Error("it does not stop"))) as never;
    await expect(stop()).rejects.toThrow("it does not stop");
    await expect(core.storage.ping()).rejects.toThrow();
    await close();
    await latchkey.database.drop();
  });
});

function redeemAt(tenant: Tenant, verification_code: string): URL {
  const url = new URL(`${tenant.base}/auth/authorize`);
  const { audience, client } = tenant;
  const query = {
    audience,
    response_type: "authenticate",
    client_id: client.client_id,
    redirect_uri: CALLBACK,
    state: "s",
  };
  url.search = new URLSearchParams({ ...query, verification_code }).toString();
  return url;
}
