/** What `latchkey doctor` says of settings that are read right and do not work. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { freePort, unprivileged } from "../../scripts/postgres.mjs";
import { migrationNames, pendingMigrations } from "../../src/storage/migrate.ts";
import { openStorage } from "../../src/storage/open.ts";
import { createTestDatabase, engines } from "../support/engines.ts";
import { admin, isolate } from "../support/global-setup.ts";
import { CLI, cli } from "../support/process.ts";
import { openReceiver } from "../support/receiver.ts";
import { openMailbox } from "../support/smtp.ts";

const NOWHERE = "postgres://127.0.0.1:1/latchkey";

async function findingOn(check: string, env: Record<string, string>) {
  const { stdout, stderr } = await cli({ DATABASE_URL: NOWHERE, MASTER_KEY: KEY, ...env }, "doctor", "--json");
  expect(stderr).toBe("");
  const { findings } = JSON.parse(stdout) as { findings: { check: string; state: string; message: string }[] };
  return findings.find((finding) => finding.check === check);
}

const KEY = Buffer.alloc(32, 7).toString("base64");
const mailAt = (url: string) => findingOn("mail", { SMTP_URL: url, MAIL_FROM: "login@example.com" });

describe("doctor", () => {
  it("names a mail server's certificate, not user and password, where that is what is wrong", async () => {
    const mailbox = await openMailbox({ secure: true });
    await mailbox.start();
    expect(await mailAt(mailbox.url)).toEqual({
      check: "mail",
      state: "failed",
      message: expect.stringMatching(
        /^the server of SMTP_URL .*\(\w*(CERT|UNABLE_TO)\w*\)\. Its certificate is not valid/,
      ),
    });
    await mailbox.stop();
  });

  it("says that nothing answers where nobody listens, or no such host is", async () => {
    const nobody = "nothing answers at the host and port of SMTP_URL";
    expect((await mailAt(`smtp://127.0.0.1:${await freePort()}`))?.message).toContain(`${nobody} (ECONNREFUSED)`);
    expect((await mailAt("smtp://mail.invalid"))?.message).toMatch(`${nobody} (`);
  });

  it("says that a mail server offers no encryption which would be told a password", async () => {
    const mailbox = await openMailbox();
    await mailbox.start();
    const url = `smtp://user:password@0.0.0.0:${mailbox.port}`;
    expect(await mailAt(url)).toMatchObject({ state: "failed", message: expect.stringContaining("TLS (ETLS)") });
    await mailbox.stop();
  });

  it("warns of a master key beside the database, however it is named", async () => {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-doctor-"));
    writeFileSync(join(folder, "own.key"), `${KEY}\n`);
    symlinkSync(folder, `${folder}-link`);
    const warning = { check: "master key", state: "warning", message: expect.stringContaining("beside the database") };
    for (const MASTER_KEY_FILE of [join(folder, "own.key"), join(`${folder}-link`, "own.key")])
      expect(
        await findingOn("master key", { DATABASE_URL: `sqlite:${folder}/a.db`, MASTER_KEY: "", MASTER_KEY_FILE }),
      ).toEqual(warning);
    const elsewhere = { DATABASE_URL: `sqlite:${folder}/data/a.db`, MASTER_KEY: "" };
    const finding = await findingOn("master key", { ...elsewhere, MASTER_KEY_FILE: join(folder, "own.key") });
    expect(finding?.state).toBe("ok");
    rmSync(`${folder}-link`);
    rmSync(folder, { recursive: true });
  });

  it("finds an SQLite file that this user may not write", async ({ skip }) => {
    const identity = unprivileged();
    if (identity.uid === undefined) return skip("only root can run a command as somebody else");
    const folder = mkdtempSync(join(tmpdir(), "latchkey-doctor-"));
    const env = { DATABASE_URL: `sqlite:${folder}/a.db`, MASTER_KEY: KEY };
    expect((await cli(env, "account", "create", "T11200001")).code).toBe(0);
    chmodSync(folder, 0o777);
    chmodSync(`${folder}/a.db`, 0o644);
    const options = { env: { PATH: process.env.PATH, ...env }, ...identity };
    const doctor = promisify(execFile)(process.execPath, [CLI, "doctor"], options);
    const { code, stdout } = await doctor.then(
      ({ stdout }) => ({ code: 0, stdout }),
      (error) => error,
    );
    const said = /^FAILED +database: DATABASE_URL names a file that may not be written.*\(SQLITE_READONLY\)\.$/m;
    expect([code, stdout]).toEqual([1, expect.stringMatching(said)]);
    rmSync(folder, { recursive: true });
  });

  it("finds a folder where a file is named, and a schema of a newer version", async () => {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-doctor-"));
    const named = await cli({ DATABASE_URL: `sqlite:${folder}`, MASTER_KEY: KEY }, "doctor");
    expect([named.code, named.stderr]).toEqual([2, "DATABASE_URL names a folder. Name a file in it.\n"]);
    const DATABASE_URL = `sqlite:${folder}/a.db`;
    expect((await cli({ DATABASE_URL, MASTER_KEY: KEY }, "account", "create", "T11200001")).code).toBe(0);
    expect((await findingOn("schema", { DATABASE_URL }))?.state).toBe("ok");
    const storage = await openStorage({ database_url: DATABASE_URL });
    await storage.write(({ db }) =>
      sql`insert into migrations (name, applied_at) values ('9999_later', '2026-01-01T00:00:00.000Z')`.execute(db),
    );
    await storage.close();
    expect(await findingOn("schema", { DATABASE_URL })).toEqual({
      ...{ check: "schema", state: "warning" },
      message: expect.stringMatching(/^a newer version made it: 9999_later is not known here\. Going back one/),
    });
    rmSync(folder, { recursive: true });
  });

  it("finds a PostgreSQL server that may only be read", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const name = new URL(database_url).pathname.slice(1);
    await admin(database_url, `alter database ${name} set default_transaction_read_only = on`);
    expect(await findingOn("database", { DATABASE_URL: database_url })).toEqual({
      check: "database",
      state: "failed",
      message: expect.stringMatching(/^DATABASE_URL names a standby, or a server that may only be read.*\(25006\)\.$/),
    });
    await drop();
  });

  it("finds a user that may make no tables in an empty PostgreSQL database, and makes none where it may", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const user = `stranger_${randomBytes(6).toString("hex")}`;
    await admin(database_url, `drop schema public cascade; create schema public`);
    await admin(database_url, `grant usage on schema public to public; create role ${user} login`);
    const empty = await findingOn("database", { DATABASE_URL: database_url });
    expect([empty?.state, (await pendingMigrations(database_url)).length]).toEqual(["ok", migrationNames().length]);
    const DATABASE_URL = Object.assign(new URL(database_url), { username: user }).href;
    expect(await findingOn("database", { DATABASE_URL })).toMatchObject({
      state: "failed",
      message: expect.stringMatching(/may not create tables: make it the owner, .*\(42501\)\.$/),
    });
    await admin(database_url, `drop role ${user}`);
    await drop();
  });

  it("warns of a PostgreSQL database that answers before what it answers is on disk, and of nothing that we set", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const transactions = () => findingOn("transactions", { DATABASE_URL: database_url });
    await isolate(database_url, "serializable");
    expect(await transactions()).toMatchObject({ state: "ok", message: expect.stringContaining("read committed") });
    await admin(database_url, `alter database ${new URL(database_url).pathname.slice(1)} set synchronous_commit = off`);
    expect(await transactions()).toMatchObject({
      state: "warning",
      message: expect.stringMatching(/^synchronous_commit is off .*alter role \w+ set synchronous_commit = on/),
    });
    await drop();
  });

  it("changes nothing in a database that it may write", async () => {
    for (const engine of engines) {
      const { database_url, drop } = await createTestDatabase(engine);
      const storage = await openStorage({ database_url });
      const applied = () => sql`select * from migrations order by name`.execute(storage.read).then(({ rows }) => rows);
      const before = await applied();
      expect(await findingOn("database", { DATABASE_URL: database_url })).toMatchObject({ state: "ok" });
      expect(await applied()).toEqual(before);
      await storage.close();
      await drop();
    }
  });

  it("asks the collector of traces, and warns of one that takes none", async () => {
    const collector = await openReceiver(({ path }) => [path === "/v1/traces" ? 200 : 404, "{}"]);
    const traces = (OTEL_EXPORTER_OTLP_ENDPOINT: string) => findingOn("traces", { OTEL_EXPORTER_OTLP_ENDPOINT });
    expect(await traces(collector.url)).toMatchObject({ state: "ok" });
    const named = (what: string) => `the collector of OTEL_EXPORTER_OTLP_ENDPOINT takes none (${what}).`;
    for (const [url, what] of [
      [`${collector.url}/v1/traces`, "404"],
      [`http://127.0.0.1:${await freePort()}`, "ECONNREFUSED"],
    ] as const)
      expect(await traces(url)).toMatchObject({ state: "warning", message: expect.stringContaining(named(what)) });
    expect(await findingOn("traces", {})).toBeUndefined();
    await collector.close();
  });

  it("warns of several workers whose figures nobody adds up", async () => {
    expect(await findingOn("metrics", { WORKERS: "2" })).toEqual({
      check: "metrics",
      state: "warning",
      message: expect.stringContaining("Set METRICS_PORT"),
    });
    expect((await findingOn("metrics", { WORKERS: "2", METRICS_PORT: "9464" }))?.state).toBe("ok");
    expect((await findingOn("metrics", {}))?.state).toBe("ok");
  });
});
