/** How the process behaves to its operator: proxies, workers, signals, figures, commands that fail. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { openLogger } from "../../src/telemetry/log.ts";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { sendHalf } from "../support/half-sent.ts";
import {
  askForCode,
  authorize,
  CALLBACK,
  call,
  createTenant,
  MASTER_KEY,
  mintCode,
  startLatchkey,
} from "../support/latchkey.ts";
import { cli, spawnServer, startProcess } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { addPerson, createTenantBeside } from "../support/tenants.ts";

const PUBLIC_URL = "http://localhost:9";
const stops = ["SIGTERM", "SIGHUP"] as const;

/** Somebody else has this port, and answers nothing. */
async function openPort() {
  const port = await freePort();
  const server = createServer((socket) => void socket.on("error", () => {}).resume());
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return { port, close: () => new Promise((resolve) => server.close(resolve)) };
}

async function giveUpAMessage(database_url: string) {
  const database = new pg.Client(database_url);
  await database.connect();
  const at = new Date().toISOString();
  await database.query(
    `insert into outbox (account_id, id, kind, channel, payload, state, next_attempt_at, created_at, expires_at, finished_at)
      values ('T10000001', 'given-up', 'verification', 'mail', '{}', 'failed', $1, $1, $1, $1)`,
    [at],
  );
  await database.end();
}

describeOnBothEngines("the process behind proxies", (engine) => {
  it("believes only the proxies it was told of", async () => {
    const latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.1,10.0.0.0/8" } });
    const untrusting = await startLatchkey(engine);
    const ipSeen = async (from: typeof latchkey, headers: Record<string, string>) => {
      const tenant = await createTenant(from);
      await askForCode(tenant, { headers });
      const { context } = await from.server.core.storage.read
        .selectFrom("audit_events")
        .select("context")
        .where("account_id", "=", tenant.account_id)
        .where("action", "=", "verification_code.sent")
        .executeTakeFirstOrThrow();
      return JSON.parse(context).ip;
    };
    expect(await ipSeen(latchkey, { "x-forwarded-for": "203.0.113.7" })).toBe("203.0.113.7");
    expect(await ipSeen(latchkey, { "x-forwarded-for": "198.51.100.1, 203.0.113.7, 10.1.2.3" })).toBe("203.0.113.7");
    expect(await ipSeen(latchkey, { "x-forwarded-for": "203.0.113.7:4711, 10.1.2.3:80" })).toBe("203.0.113.7");
    expect(await ipSeen(latchkey, { forwarded: 'for="203.0.113.8:99", for=10.0.0.9' })).toBe("203.0.113.8");
    // Of two headers the proxy may have written one, and the client the other.
    const forged = { "x-forwarded-for": "198.51.100.1", forwarded: "for=203.0.113.8" };
    expect(await ipSeen(latchkey, forged)).toBe("127.0.0.1");
    expect(await ipSeen(latchkey, { ...forged, "x-forwarded-for": "198.51.100.1, 203.0.113.8" })).toBe("203.0.113.8");
    expect(await ipSeen(untrusting, { "x-forwarded-for": "203.0.113.7", forwarded: "for=203.0.113.8" })).toBe(
      "127.0.0.1",
    );
    await latchkey.close();
    await untrusting.close();
  });
});

describe("the process", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-process-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("serves with several workers, replaces one that dies, and adds up their figures", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const metrics_port = await freePort();
    const env = { PUBLIC_URL, WORKERS: "2", METRICS_PORT: String(metrics_port) };
    const server = await startProcess({ database_url, env });
    const tenant = await createTenantBeside(database_url, server.url, PUBLIC_URL);
    const redeem = async () => (await authorize(tenant, { verification_code: await mintCode(tenant) })).status;
    for (let n = 0; n < 6; n++) expect(await redeem()).toBe(302);
    const figures = async () => (await call(`http://127.0.0.1:${metrics_port}/metrics`)).text;
    const line =
      'latchkey_http_request_duration_seconds_count{method="POST",route="/v1/accounts/:oid/auth/authorize",status="302"} 6';
    expect(await figures()).toContain(line);
    await giveUpAMessage(database_url);
    // Of the one outbox that both count. What was counted before stands for five seconds.
    const given_up = 'latchkey_outbox_messages{state="undeliverable"} 1\n';
    await until("the message to be counted once", async () => (await figures()).includes(given_up) || undefined);
    expect((await call(`${server.url}/metrics`)).status).toBe(404);

    const workers = () => [...new Set([...server.output().matchAll(/"pid":(\d+)/g)].map(([, pid]) => Number(pid)))];
    const [victim] = await until("both workers to log", () => (workers().length >= 2 ? workers() : undefined));
    process.kill(victim ?? 0, "SIGKILL");
    const still = async () => redeem().catch(() => 0);
    await until("another worker to take over", async () => ((await still()) === 302 ? true : undefined));
    await until("a third worker", () => (workers().length >= 3 ? true : undefined));
    expect(await server.kill("SIGTERM")).toBe(0);
    await drop();
  });

  it("reports what fails while nobody waits for it, and goes on", async () => {
    const failing = "process.on('SIGUSR2', () => Promise.reject(new Error('nobody waits')))";
    const env = { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(failing)}` };
    const server = await startProcess({ database_url: `sqlite:${folder}/nobody.db`, env });
    server.signal("SIGUSR2");
    await until("the report", () => (server.output().includes("nobody waits") ? true : undefined));
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
    expect(await server.kill("SIGTERM")).toBe(0);
  });

  it.each(stops)("finishes what it has begun when it is told to stop by %s", async (signal) => {
    const server = await startProcess({ database_url: `sqlite:${folder}/${signal}.db`, env: { PUBLIC_URL } });
    const tenant = await createTenantBeside(`sqlite:${folder}/${signal}.db`, server.url, PUBLIC_URL);
    const people = await Promise.all([1, 2, 3].map((n) => addPerson(tenant, `stop-${n}@example.com`)));
    const codes = await Promise.all(people.map((user_id) => mintCode(tenant, { user_id })));
    const { account_id, audience, client, token } = tenant;
    const about = { audience, client_id: client.client_id, redirect_uri: CALLBACK, response_type: "authenticate" };
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/x-www-form-urlencoded" };
    const begun = codes.map((verification_code) => {
      const body = new URLSearchParams({ ...about, verification_code }).toString();
      return sendHalf(server.port, `/v1/accounts/${account_id}/auth/authorize`, body, headers);
    });
    const waiting = await Promise.all(begun);
    const gone = server.kill(signal);
    await until("it to hear of it", () => (server.output().includes('"stopping"') ? true : undefined));
    for (const answer of await Promise.all(waiting.map(({ finish }) => finish())))
      expect(answer).toMatch(/^HTTP\/1.1 302 .*\r\nconnection: close\r\n/is);
    expect(await gone).toBe(0);
    expect(server.output()).toContain(`"signal":"${signal}"`);
  });

  // By a service manager, and by a terminal that closes.
  it.each(stops)("finishes what it has begun also where every worker hears of %s before its parent", async (signal) => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const server = await startProcess({ database_url, env: { PUBLIC_URL, WORKERS: "2" } });
    const listening = () => [...server.output().matchAll(/"pid":(\d+).*"listening"/g)].map(([, pid]) => Number(pid));
    const workers = await until("both workers", () => (listening().length === 2 ? listening() : undefined));
    const asking = await sendHalf(server.port, "/v1/accounts/T10000001/auth/token", "{}");
    for (const pid of workers) process.kill(pid, signal);
    await until("both to hear of it", () => (server.output().match(/"stopping"/g)?.length === 2 ? true : undefined));
    // As the parent does then, but surely before the body.
    for (const pid of workers) {
      try {
        process.kill(pid, "SIGTERM");
      } catch {
        // The one that nobody asked anything is gone.
      }
    }
    const gone = server.kill(signal);
    const answer = await asking.finish();
    expect(await gone).toBe(0);
    expect(answer).toMatch(/^HTTP\/1.1 415 /);
    await drop();
  });

  it("ends with status 0 when it is told to stop while it starts", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const other = new pg.Client({ connectionString: database_url });
    await other.connect();
    await other.query("begin; lock table migrations in access exclusive mode");
    const server = await spawnServer({ database_url, env: { PUBLIC_URL } });
    const waiting = "select from pg_locks where not granted and relation = 'migrations'::regclass";
    await until("the start to wait", async () => ((await other.query(waiting)).rowCount === 1 ? true : undefined));
    const gone = server.kill("SIGTERM");
    await other.query("commit");
    expect(await gone, server.output()).toBe(0);
    expect(server.output()).toContain('"signal":"SIGTERM"');
    await other.end();
    await drop();
  });

  it("says what is wrong with settings on standard error, with exit code 2, and starts nothing", async () => {
    const env = { DATABASE_URL: "postgres://x", PORT: "x", MASTER_KEY: undefined };
    const served = await cli(env, "serve");
    expect([served.code, served.stdout]).toEqual([2, ""]);
    expect(
      served.stderr
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ).toEqual(["PORT", "MASTER_KEY"]);
    for (const args of [["serve"], ["account", "create", "T1"]]) {
      const { code, stdout, stderr } = await cli(env, ...args, "--json");
      expect([code, stdout, JSON.parse(stderr).error.code], args.join(" ")).toEqual([2, "", "invalid_settings"]);
    }
    for (const args of [
      ["account", "creat"],
      ["account", "create"],
      ["user", "create", "T1", "--mail", "x"],
      ["nothing"],
    ]) {
      const wrong = await cli(env, ...args, "--json");
      expect([wrong.code, wrong.stdout, JSON.parse(wrong.stderr).error.code], args.join(" ")).toEqual([
        2,
        "",
        "invalid_usage",
      ]);
      const told = await cli(env, ...args);
      expect([told.code, told.stderr], args.join(" ")).toEqual([2, expect.stringMatching(/^error: .*--help/s)]);
    }
  });

  it("prints nothing but its log, a JSON object a line, where a program reads it", async () => {
    const start = async (...args: string[]) => {
      const cwd = mkdtempSync(join(folder, "json-"));
      const server = await startProcess({ database_url: "sqlite:./own.db", cwd, env: { DEMO: "1" }, args });
      await until("the server to say that it listens", () => /"msg":"listening"/.test(server.output()) || undefined);
      await server.kill("SIGTERM");
      const lines = server.output().trim().split("\n");
      return lines.filter((line) => !line.startsWith("{"));
    };
    expect(await start("serve", "--json")).toEqual([]);
    expect(await start("serve")).toContainEqual(expect.stringContaining("A demo account is ready"));
  });

  it("says in one line which setting stands in the way of the start, and what to do", async () => {
    const [port, metrics, mute] = await Promise.all([openPort(), openPort(), openPort()]);
    const env = { MASTER_KEY, PORT: String(await freePort()), DEMO: "0" };
    const at = (name: string) => `sqlite:${folder}/${name}`;
    writeFileSync(join(folder, "letter.db"), "Dear reader, this is no database at all. ".repeat(50));
    const { database_url, drop } = await createTestDatabase("postgres");
    const wrong = new URL(database_url);
    wrong.pathname = "/nothing";
    const rows: [Record<string, string>, RegExp][] = [
      [{ DATABASE_URL: at("port.db"), PORT: String(port.port) }, new RegExp(`^PORT ${port.port} is in use`)],
      [
        { DATABASE_URL: at("m.db"), METRICS_PORT: String(metrics.port) },
        new RegExp(`^METRICS_PORT ${metrics.port} is in use`),
      ],
      [{ DATABASE_URL: at("host.db"), HOST: "192.0.2.1" }, /^HOST 192.0.2.1 is no address of this machine/],
      [{ DATABASE_URL: at("host.db"), HOST: "nowhere.invalid" }, /^HOST nowhere.invalid cannot be looked up/],
      [{ DATABASE_URL: `sqlite:${folder}` }, /^DATABASE_URL names a folder\. Name a file in it\.$/m],
      [
        { DATABASE_URL: at("otlp.db"), OTEL_EXPORTER_OTLP_ENDPOINT: "http://[" },
        /^OTEL_EXPORTER_OTLP_ENDPOINT must be/,
      ],
      [{ DATABASE_URL: at("letter.db") }, /^DATABASE_URL names a file that is no database.*\(SQLITE_NOTADB\)/],
      [
        { DATABASE_URL: "postgres://127.0.0.1:1/x" },
        /^DATABASE_URL names a server that takes no connections.*\(ECONNREFUSED\)/,
      ],
      [{ DATABASE_URL: `postgres://127.0.0.1:${mute.port}/x` }, /^DATABASE_URL names a server that does not answer/],
      [{ DATABASE_URL: wrong.href }, /^DATABASE_URL names a database that does not exist: create it \(3D000\)/],
      [{ DATABASE_URL: "postgres://a b:c/x" }, /^DATABASE_URL must be postgres:/],
      [
        { DATABASE_URL: database_url, WORKERS: "2", PORT: String(port.port) },
        new RegExp(`^PORT ${port.port} is in use`),
      ],
    ];
    for (const [further, line] of rows) {
      const { code, stderr } = await cli({ ...env, ...further }, "serve");
      expect(stderr, JSON.stringify(further)).toMatch(line);
      expect([stderr.trim().split("\n").length, code === 0], stderr).toEqual([1, false]);
    }
    await Promise.all([port.close(), metrics.close(), mute.close(), drop()]);
  });

  it("says of a file that cannot be written which flag named it", async () => {
    const env = { MASTER_KEY, DATABASE_URL: `sqlite:${folder}/out.db` };
    await cli(env, "account", "create", "T11200001");
    const out = async (file: string) => {
      const { code, stderr } = await cli(env, "export", "T11200001", "--out", file);
      return [code, stderr];
    };
    expect(await out(`${folder}/letter.db`)).toEqual([1, expect.stringMatching(/^--out .*letter.db is there already/)]);
    expect(await out(`${folder}/no/a.json`)).toEqual([1, expect.stringMatching(/^--out .*its folder is not/)]);
  });

  it("offers the walk-through only where it can be followed", async () => {
    const { port, close } = await openPort();
    const beside = mkdtempSync(join(folder, "demo-"));
    const env = { DATABASE_URL: `sqlite:${beside}/latchkey.db`, MASTER_KEY, PORT: String(port), DEMO: "1" };
    const busy = await cli(env, "serve");
    expect([busy.code, busy.stdout], busy.stderr).toEqual([1, expect.not.stringContaining("# 1.")]);
    await close();
    const server = await startProcess({ database_url: env.DATABASE_URL, port, env });
    await until("the walk-through", () => (server.output().includes("# 6.") ? true : undefined));
    await server.kill("SIGTERM");
  });

  it("writes no line about probes and scrapes while all is well, unless it is asked to", async () => {
    const linesAt = async (level: string) => {
      const lines: string[] = [];
      const latchkey = await startLatchkey("sqlite", {
        log: openLogger(level, { write: (line) => void lines.push(line) }),
      });
      for (const path of ["healthz", "readyz", "metrics"]) await call(`${latchkey.url}/${path}`);
      await call(`${latchkey.url}/v1/accounts/T99999999/oauth/jwks.json`);
      await latchkey.server.core.storage.close();
      expect((await call(`${latchkey.url}/readyz`)).status).toBe(503);
      await latchkey.server.stop().catch(() => {});
      const said = lines.map((line) => JSON.parse(line)).filter(({ msg }) => msg === "request");
      return said.map(({ route, status }) => `${route} ${status}`);
    };
    const told = ["/v1/accounts/:oid/oauth/jwks.json 404", "/readyz 503"];
    expect(await linesAt("info")).toEqual(told);
    expect(await linesAt("debug")).toEqual(["/healthz 200", "/readyz 200", "/metrics 200", ...told]);
  });

  it("ends with what stopped it, not with success, where no worker could serve", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    await (await startProcess({ database_url })).kill("SIGTERM");
    await cli({ DATABASE_URL: database_url, MASTER_KEY }, "account", "create", "T11200001");
    await cli({ DATABASE_URL: database_url, MASTER_KEY }, "keys", "rotate", "T11200001");
    const other = { DATABASE_URL: database_url, MASTER_KEY: Buffer.alloc(32, 99).toString("base64"), WORKERS: "2" };
    const served = await cli({ ...other, PORT: String(await freePort()) }, "serve");
    expect([served.code, served.stderr.match(/MASTER_KEY is not the key/g)]).toEqual([
      1,
      ["MASTER_KEY is not the key"],
    ]);
    await drop();
  });

  it("is examined by doctor as it would be started, and changes nothing", async () => {
    const beside = join(folder, "new");
    const env = { DATABASE_URL: `sqlite:${beside}/latchkey.db` };
    const fresh = await cli(env, "doctor");
    expect([fresh.code, fresh.stdout], fresh.stderr).toEqual([0, expect.stringContaining("is not there yet")]);
    expect(existsSync(beside)).toBe(false);
    const faulty = { TRUSTED_PROXIES: "10.0.0.0/99", EGRESS_ALLOW: "home", SMS_URL: "https://sms.example" };
    const { code, stderr } = await cli({ ...env, ...faulty }, "doctor");
    expect([
      code,
      stderr
        .trim()
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ]).toEqual([2, ["TRUSTED_PROXIES", "EGRESS_ALLOW", "SMS_URL"]]);
    const used = { DATABASE_URL: `sqlite:${folder}/examined.db`, MASTER_KEY };
    await cli(used, "account", "create", "T11200001");
    await cli(used, "keys", "rotate", "T11200001");
    const wrong = await cli({ ...used, MASTER_KEY: Buffer.alloc(32, 99).toString("base64") }, "doctor");
    expect([wrong.code, wrong.stdout]).toEqual([1, expect.stringContaining("MASTER_KEY is not the key")]);
  });

  it("is told by doctor of a mail server that says no more than its greeting", async () => {
    const silent = createServer((socket) => void socket.on("error", () => {}).write("220 mail\r\n"));
    await new Promise<void>((done) => void silent.listen(0, "127.0.0.1", done));
    const { port } = silent.address() as AddressInfo;
    const mail = { SMTP_URL: `smtp://127.0.0.1:${port}`, MAIL_FROM: "login@example.com" };
    const started = Date.now();
    const { code, stdout } = await cli({ DATABASE_URL: `sqlite:${folder}/none.db`, ...mail }, "doctor");
    expect([code, stdout]).toEqual([
      1,
      expect.stringMatching(/FAILED +mail: nothing answers at the host and port of SMTP_URL \(ETIMEDOUT\)/),
    ]);
    expect(Date.now() - started).toBeLessThan(60_000);
    silent.close();
  });

  it("prints commands for people, and for programs with --json", async () => {
    const env = { DATABASE_URL: `sqlite:${folder}/cli.db`, MASTER_KEY };
    expect((await cli(env, "migrate")).stdout).toContain("applied 0001_first");
    expect(JSON.parse((await cli(env, "migrate", "--json")).stdout)).toEqual({ applied: [] });
    const account = await cli(env, "account", "create", "P11200001", "--name", "Shop");
    expect(account.stdout).toContain("next      latchkey client create P11200001");
    const again = await cli(env, "account", "create", "P11200001", "--json");
    expect([again.code, JSON.parse(again.stderr).error.code]).toEqual([1, "invalid_request"]);
    const wrong = await cli(env, "client", "create", "P99999999", "--json");
    expect([wrong.code, JSON.parse(wrong.stderr).error.code]).toEqual([1, "not_found"]);
    const usage = await cli(env, "client", "crate");
    expect([usage.code, usage.stderr.includes("help")]).toEqual([2, true]);
    const client = JSON.parse((await cli(env, "client", "create", "P112", "--public", "--json")).stderr).error.code;
    expect(client).toBe("not_found");
    const rotated = JSON.parse((await cli(env, "keys", "rotate", "P11200001", "--json")).stdout);
    expect(rotated.rotated.map(({ alg }: { alg: string }) => alg).toSorted()).toEqual(["ES256", "RS256"]);
    const doctor = JSON.parse((await cli(env, "doctor", "--json")).stdout);
    expect(doctor.findings.map(({ check }: { check: string }) => check)).toContain("database");
    expect((await cli({ ...env, DATABASE_URL: "postgres://127.0.0.1:1/x" }, "doctor")).code).toBe(1);
  });

  it("refuses a database that another server has, and one written under another master key", async () => {
    const database_url = `sqlite:${folder}/owned.db`;
    const server = await startProcess({ database_url });
    const second = await cli({ DATABASE_URL: database_url, MASTER_KEY, PORT: String(await freePort()) }, "serve");
    expect(second.code).toBe(1);
    expect(second.stderr).toBe(
      `DATABASE_URL: ${folder}/owned.db is in use by another running server. Stop it, or use PostgreSQL for several processes.\n`,
    );
    await cli({ DATABASE_URL: database_url, MASTER_KEY }, "account", "create", "T11200001");
    await server.kill("SIGTERM");
    const other = { MASTER_KEY: Buffer.alloc(32, 99).toString("base64"), DATABASE_URL: database_url };
    expect((await cli(other, "serve")).stderr).toContain("MASTER_KEY is not the key");
  });
});
