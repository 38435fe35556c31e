/** What a start makes of settings and files that will not do, and what it leaves as it was. */
import { execFile } from "node:child_process";
import dns from "node:dns";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { migrate, pendingMigrations } from "../../src/storage/migrate.ts";
import { openStorage } from "../../src/storage/open.ts";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { admin } from "../support/global-setup.ts";
import { basic, call, MASTER_KEY, startLatchkey } from "../support/latchkey.ts";
import { cli, SERVER, spawnServer, startProcess } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { pause } from "../support/wire.ts";

const PUBLIC_URL = "http://localhost:9";

type Told = (error: NodeJS.ErrnoException | null, addresses: dns.LookupAddress[]) => void;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "latchkey-starts-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("a start", () => {
  const faulty = { TRUSTED_PROXIES: "*,10", EGRESS_ALLOW: "home", SMS_URL: "https://sms.example" };

  it.each([["serve"], ["doctor"]])(
    "names every faulty setting at once, whichever room reads it (%s)",
    async (command) => {
      const env = {
        DATABASE_URL: `sqlite:${folder}/faulty.db`,
        MASTER_KEY,
        WORKERS: "x",
        HOST: "nowhere.invalid",
        ...faulty,
      };
      const { code, stderr } = await cli(env, command);
      const named = stderr.trim().split("\n");
      expect([code, named.map((line) => line.split(" ")[0])]).toEqual([
        2,
        ["WORKERS", "HOST", "TRUSTED_PROXIES", "TRUSTED_PROXIES", "EGRESS_ALLOW", "SMS_URL"],
      ]);
      expect(named[3]).toContain("has the entry 10, which is no address or CIDR");
    },
  );

  it.each([["server.js"], ["server"]])("happens also through a symbolic link, by the name of %s", async (name) => {
    const link = join(folder, `current-${name}`);
    symlinkSync(fileURLToPath(new URL("../..", import.meta.url)), link);
    const main = join(link, "dist", name);
    const server = await startProcess({ database_url: `sqlite:${folder}/${name}.db`, main });
    expect(await server.kill("SIGTERM")).toBe(0);
  });

  it("migrates nothing where it is refused, with several workers either", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    await admin(database_url, "drop schema public cascade; create schema public");
    const before = await pendingMigrations(database_url);
    const env = { DATABASE_URL: database_url, MASTER_KEY, PORT: String(await freePort()), WORKERS: "2" };
    const { code, stderr } = await cli({ ...env, TRUSTED_PROXIES: "*" }, "serve");
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^TRUSTED_PROXIES has the entry \*, .*\n$/)]);
    expect(await pendingMigrations(database_url)).toEqual(before);
    await drop();
  });

  it("lets those who run meanwhile read what it waits for, however long somebody else reads it", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const [reader, running] = [new pg.Client(database_url), new pg.Client(database_url)];
    await Promise.all([reader.connect(), running.connect()]);
    await running.query("set statement_timeout = '20s'");
    await running.query("alter table users drop column logins_ended_at; alter table consents drop column host");
    const names = ["0011_logins_ended", "0012_consent_hosts"];
    await running.query("delete from migrations where name = any($1)", [names]);
    await reader.query("begin; select count(*) from consents");
    const waiting: string[] = [];
    const migrating = migrate(database_url, (name) => void waiting.push(name));
    const waits = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    await until("the migration to wait", async () => (await running.query(waits)).rowCount !== 0 || undefined);
    for (const table of ["users", "consents"]) await running.query(`select count(*) from ${table}`);
    expect(await pendingMigrations(database_url), "what waits for nothing is done").toEqual(names.slice(1));
    await until("what says so", () => waiting.length > 0 || undefined);
    await reader.query("commit");
    expect(await migrating).toEqual(names);
    expect(waiting).toEqual(["0012_consent_hosts"]);
    await Promise.all([reader.end(), running.end()]);
    await drop();
  });

  it.each(["1", "2"])(
    "of %s workers is stopped at once, without a failure, where it waits for a table",
    async (n) => {
      const { database_url, drop } = await createTestDatabase("postgres");
      const undo = "alter table consents drop column host; delete from migrations where name = '0012_consent_hosts'";
      await admin(database_url, undo);
      const pending = await pendingMigrations(database_url);
      const reader = new pg.Client(database_url);
      await reader.connect();
      await reader.query("begin; select count(*) from consents");
      const server = await spawnServer({ database_url, env: { WORKERS: n } });
      await until("the line that says so", () => server.output().includes("waits for a table") || undefined);
      expect([await server.kill("SIGTERM"), server.output()]).toEqual([0, expect.not.stringContaining("Error")]);
      await reader.end();
      expect(await pendingMigrations(database_url)).toEqual(pending);
      await drop();
    },
    60_000,
  );

  it("of a worker in place of one that died takes the keys that its parent read, whatever their file holds by now", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const MASTER_KEY_FILE = join(folder, "workers.key");
    writeFileSync(MASTER_KEY_FILE, MASTER_KEY);
    const env = { PUBLIC_URL, WORKERS: "2", MASTER_KEY: undefined, MASTER_KEY_FILE };
    const server = await startProcess({ database_url, env });
    await createTenantBeside(database_url, server.url, PUBLIC_URL);
    const listening = () => [...server.output().matchAll(/"pid":(\d+).*"listening"/g)].map(([, pid]) => Number(pid));
    const [victim = 0] = await until("both workers", () => (listening().length === 2 ? listening() : undefined));
    for (const pid of listening()) expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain(MASTER_KEY);
    writeFileSync(MASTER_KEY_FILE, Buffer.alloc(32, 99).toString("base64"));
    process.kill(victim, "SIGKILL");
    await until("a third worker", () => listening().length === 3 || undefined);
    expect(await server.kill("SIGTERM"), server.output()).toBe(0);
    await drop();
  });

  it("of a worker that is killed while it starts ends nobody else", { timeout: 90_000 }, async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const server = await startProcess({ database_url, env: { PUBLIC_URL, WORKERS: "2" } });
    const listening = () => server.output().match(/"listening"/g)?.length;
    await until("both workers", () => listening() === 2 || undefined);
    const workers = () =>
      readFileSync(`/proc/${server.pid}/task/${server.pid}/children`, "utf8").trim().split(" ").map(Number);
    const before = workers();
    for (const pid of before) expect(readFileSync(`/proc/${pid}/environ`, "utf8")).not.toContain(MASTER_KEY);
    process.kill(before[1] ?? 0, "SIGKILL");
    const started = await until("another", () => workers().find((pid) => !before.includes(pid)));
    server.signal("SIGSTOP");
    const stat = () => readFileSync(`/proc/${started}/stat`, "utf8").split(" ");
    /** It sleeps, after so much time that it had of a processor. */
    const idle = () => (stat()[2] === "S" ? Number(stat()[13]) : undefined);
    await until("it to ask for the keys", async () => {
      const before = idle();
      await pause(3_000);
      return (before !== undefined && before > 15 && before === idle()) || undefined;
    });
    process.kill(started, "SIGKILL");
    await until("its end", () => stat()[2] === "Z" || undefined);
    server.signal("SIGCONT");
    await until("one in its place", () => listening() === 3 || undefined);
    expect(await server.kill("SIGTERM"), server.output()).toBe(0);
    await drop();
  });

  it.each([
    ["no file can be opened", 'for (;;) held.push(fs.openSync("/dev/null"))'],
    ["nothing can be made", 'process.execPath = "no\\0thing"'],
  ])("of a worker for which %s ends nobody else", async (_what, taking) => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const short = `import fs from "node:fs";
      const { execPath } = process;
      const held = [];
      process.on("SIGUSR2", () => { try { ${taking} } catch {} });
      process.on("SIGWINCH", () => { process.execPath = execPath; held.splice(0).forEach((fd) => fs.closeSync(fd)) });`;
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(short)}`;
    const env = { PUBLIC_URL, WORKERS: "2", METRICS_PORT: String(await freePort()), NODE_OPTIONS };
    const server = await startProcess({ database_url, env, descriptors: 256 });
    const listening = () => [...server.output().matchAll(/"pid":(\d+).*"listening"/g)].map(([, pid]) => Number(pid));
    const [, victim = 0] = await until("both workers", () => (listening().length === 2 ? listening() : undefined));
    server.signal("SIGUSR2");
    process.kill(victim, "SIGKILL");
    await until("a line that says so", () => /"level":"error".*cannot be started/.test(server.output()) || undefined);
    server.signal("SIGWINCH");
    await until("a third worker", () => listening().length === 3 || undefined);
    expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
    expect(await server.kill("SIGTERM"), server.output()).toBe(0);
    await drop();
  });

  it.each(["1", "2"])("under a process manager's cluster serves alone, and says so (WORKERS=%s)", async (n) => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const metrics_port = await freePort();
    const main = join(folder, "manager.cjs");
    writeFileSync(
      main,
      `const cluster = require("node:cluster");
      cluster.setupPrimary({ exec: ${JSON.stringify(SERVER)} });
      const server = cluster.fork();
      process.on("SIGTERM", () => server.process.kill("SIGTERM"));
      server.on("exit", (code) => process.exit(code ?? 1));`,
    );
    const env = { PUBLIC_URL, WORKERS: n, METRICS_PORT: String(metrics_port) };
    const server = await startProcess({ database_url, main, env });
    expect((await call(`http://127.0.0.1:${metrics_port}/metrics`)).status).toBe(200);
    expect(server.output().match(/"level":"warn".*WORKERS.*METRICS_PORT answers/g)).toHaveLength(1);
    expect(await server.kill("SIGTERM"), server.output()).toBe(0);
    await drop();
  });

  it("listens once, at the first address of HOST", async () => {
    const localhost = [
      { address: "127.0.0.1", family: 4 },
      { address: "::1", family: 6 },
    ];
    const { lookup } = dns;
    const looked_up = vi
      .spyOn(dns, "lookup")
      .mockImplementation(((host: string, ...asked: [dns.LookupAllOptions, Told]) =>
        host === "localhost" && asked[0].all ? asked[1](null, localhost) : lookup(host, ...asked)) as never);
    const latchkey = await startLatchkey("sqlite", { env: { HOST: "localhost" } });
    looked_up.mockRestore();
    expect(latchkey.server.app.addresses()).toHaveLength(1);
    await latchkey.close();
  });

  it("that can write no file of the demo makes no demo, and says how to do without", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const cwd = mkdtempSync(join(folder, "closed-"));
    symlinkSync(join(cwd, "nowhere"), join(cwd, "data"));
    const server = await spawnServer({ database_url, cwd, env: { DEMO: "1" } });
    await once(server.child, "close");
    const said = new RegExp(`^DEMO: ${cwd}/data/demo.json cannot be written \\(ENOENT\\)\\. Set DEMO to 0.*\\n$`);
    expect([server.child.exitCode, server.output()]).toEqual([1, expect.stringMatching(said)]);
    const database = new pg.Client(database_url);
    await database.connect();
    expect((await database.query("select account_id from accounts")).rows).toEqual([]);
    await database.end();
    await drop();
  });
});

describe("a migration that waits for a table", () => {
  it.each([["serve"], ["migrate"], ["account"]])("is told to programs in a line of JSON (%s)", async (command) => {
    const { database_url, drop } = await createTestDatabase("postgres");
    await admin(
      database_url,
      "alter table consents drop column host; delete from migrations where name = '0012_consent_hosts'",
    );
    const reader = new pg.Client(database_url);
    await reader.connect();
    await reader.query("begin; select count(*) from consents");
    const args = command === "account" ? ["account", "create", "T11200001", "--json"] : [command, "--json"];
    const server = await spawnServer({ database_url, args });
    await until("the line that says so", () => server.output().includes("waits for a table") || undefined);
    const [migration, message] = ["0012_consent_hosts", "waits for a table that somebody is using"];
    const told = command === "serve" ? { level: "warn", migration, msg: message } : { waiting: { migration, message } };
    const lines = server.output().trim().split("\n");
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([told]);
    await server.kill("SIGTERM");
    await reader.end();
    await drop();
  });
});

describeOnBothEngines("a start of an older version than has migrated the database", (engine) => {
  it("says so once, before it serves", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const storage = await openStorage({ database_url });
    await storage.write(({ db }) =>
      sql`insert into migrations (name, applied_at) values ('9999_later', '2026-01-01T00:00:00.000Z')`.execute(db),
    );
    await storage.close();
    const several = engine === "postgres" ? { WORKERS: "2" } : {};
    const server = await startProcess({ database_url, env: several });
    const listening = () => server.output().match(/"listening"/g)?.length;
    await until("whoever is to serve", () => listening() === (engine === "postgres" ? 2 : 1) || undefined);
    await server.kill("SIGTERM");
    const lines = server.output().trim().split("\n");
    const said = lines
      .map((line) => JSON.parse(line))
      .filter(({ migrations, msg }) => migrations || msg === "listening");
    expect(said.filter(({ migrations }) => migrations)).toMatchObject([{ level: "warn", migrations: ["9999_later"] }]);
    expect(said[0]).toMatchObject({ msg: "a newer version has migrated the database" });
    await drop();
  });
});

describeOnBothEngines("a start that finds its demo's file", (engine) => {
  it.each([
    ["empty", ""],
    ["cut off", '{\n  "base_url": "http://loc'],
    ["without a secret", '{"client_id":"demo"}'],
    ["without anything", "null"],
  ])("%s writes it anew, with a secret that works", async (_what, content) => {
    const cwd = mkdtempSync(join(folder, "demo-"));
    const database = engine === "postgres" ? await createTestDatabase(engine) : undefined;
    const database_url = database?.database_url ?? "sqlite:./data/latchkey.db";
    const options = { database_url, port: await freePort(), cwd, env: { DEMO: "1" } };
    await (await startProcess(options)).kill("SIGTERM");
    const file = join(cwd, "data", "demo.json");
    const before = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, content);
    const server = await startProcess(options);
    const demo = JSON.parse(readFileSync(file, "utf8"));
    expect(demo).toEqual({ ...before, client_secret: expect.any(String) });
    const form = { grant_type: "client_credentials", resource: demo.audience };
    const headers = { authorization: basic({ client_id: demo.client_id, client_secret: demo.client_secret }) };
    const token = await call(`${server.url}/v1/accounts/${demo.account_id}/oauth/token`, {
      method: "POST",
      headers,
      form,
    });
    expect(token.status, token.text).toBe(200);
    await server.kill("SIGTERM");
    await database?.drop();
  });
});

describe("Node.js", () => {
  it.each(["18.20.8", "20.18.3", "21.7.3", "22.11.0"])(
    "%s, in which not everything works, is refused",
    async (node) => {
      const posing = `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${node}" } })`;
      const ready = fileURLToPath(new URL("../../scripts/ready.mjs", import.meta.url));
      const args = [`--import=data:text/javascript,${encodeURIComponent(posing)}`, ready];
      await expect(promisify(execFile)(process.execPath, args)).rejects.toMatchObject({
        code: 1,
        stderr: `Latchkey needs Node.js 20 (from 20.19) or 22.12 and newer; this is ${node}.\n`,
      });
    },
  );
});

describe("the container", () => {
  it("runs as a user by number, whom Kubernetes can tell from root", () => {
    const dockerfile = readFileSync(fileURLToPath(new URL("../../Dockerfile", import.meta.url)), "utf8");
    expect(dockerfile.match(/^USER .*$/gm)).toEqual(["USER 1000:1000"]);
  });
});

describe("the health check of the container", () => {
  it.each([
    [undefined, "8080"],
    ["", "8080"],
    [" ", "8080"],
    [" 9000 ", "9000"],
  ])("asks the port that the server takes PORT=%j for", async (PORT, port) => {
    const dockerfile = readFileSync(fileURLToPath(new URL("../../Dockerfile", import.meta.url)), "utf8");
    const [, check = ""] = /^HEALTHCHECK CMD (\[.*\])$/m.exec(dockerfile) ?? [];
    const [, ...args] = JSON.parse(check) as string[];
    const asked = "globalThis.fetch = async (url) => (console.log(new URL(url).href), { ok: true })";
    const env = { PATH: process.env.PATH, NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(asked)}` };
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: { ...env, PORT } });
    expect(stdout).toBe(`http://127.0.0.1:${port}/readyz\n`);
  });
});
