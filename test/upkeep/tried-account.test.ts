/** A dry run over an exported account says what the import would, and keeps nobody from writing meanwhile. */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { PortableAccount } from "../../src/cli/portable/portable.ts";
import { tryAccount, writeAccount } from "../../src/cli/portable/write-account.ts";
import { readConfig, sqlitePath } from "../../src/config.ts";
import { openCore } from "../../src/core.ts";
import { openSqliteFile } from "../../src/storage/sqlite/connection.ts";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { MASTER_KEY } from "../support/latchkey.ts";
import { CLI, cli } from "../support/process.ts";
import { openSmallDisk } from "../support/small-disk.ts";

describeOnBothEngines("an exported account that is tried", (engine) => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-tried-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function exported(): Promise<PortableAccount> {
    const { database_url, drop } = await createTestDatabase(engine);
    const env = { DATABASE_URL: database_url, MASTER_KEY };
    await cli(env, "account", "create", "P11200001");
    await cli(env, "user", "create", "P11200001", "--email", "ada@example.com");
    const { stdout } = await cli(env, "export", "P11200001");
    await drop();
    return JSON.parse(stdout) as PortableAccount;
  }

  it("is held to all that the import asks for, writes nothing, and waits for nobody who writes", async () => {
    const portable = await exported();
    const { database_url, drop } = await createTestDatabase(engine);
    const core = await openCore(readConfig({ DATABASE_URL: database_url, MASTER_KEY }), { exclusive: false });
    const here = () => core.storage.read.selectFrom("accounts").select("account_id").execute();
    const other = engine === "sqlite" ? openSqliteFile(sqlitePath(database_url)) : undefined;
    other?.exec("begin immediate");
    await tryAccount(core, portable);
    other?.exec("rollback");
    other?.close();
    expect(await here()).toEqual([]);

    const [user] = portable.tables.users;
    const wrong: readonly [PortableAccount, RegExp][] = [
      [{ ...portable, key_versions: ["deadbeef"] }, /sealed under the master key deadbeef/],
      [{ ...portable, account_id: "P11200002" }, /a row of another account/],
      [{ ...portable, tables: { ...portable.tables, accounts: [] } }, /must hold the account's row/],
      [{ ...portable, tables: { ...portable.tables, users: [{ ...user, no_such: 1 }] } }, /no_such/],
      [{ ...portable, tables: { ...portable.tables, users: [user, user] as never } }, /unique/i],
    ];
    for (const [one, said] of wrong) {
      await expect((async () => tryAccount(core, one))()).rejects.toThrow(said);
      await expect((async () => writeAccount(core, one))()).rejects.toThrow(said);
    }
    expect(await here()).toEqual([]);

    await writeAccount(core, portable);
    await expect(tryAccount(core, portable)).rejects.toThrow("P11200001 is here already");
    await core.close();
    await drop();
  });

  it("leaves nothing in the folder for temporary files", async () => {
    const portable = JSON.stringify(await exported());
    const { database_url, drop } = await createTestDatabase(engine);
    const TMPDIR = mkdtempSync(join(folder, "tmp-"));
    const file = join(folder, `${engine}.json`);
    writeFileSync(file, portable);
    const tried = await cli({ DATABASE_URL: database_url, MASTER_KEY, TMPDIR }, "import", file, "--dry-run");
    expect([tried.code, tried.stderr]).toEqual([0, ""]);
    expect(readdirSync(TMPDIR)).toEqual([]);
    await drop();
  });

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("leaves nothing there when it is ended by %s", async (signal) => {
    const TMPDIR = mkdtempSync(join(folder, "tmp-"));
    const DATABASE_URL = `sqlite:${join(folder, "nothing", "latchkey.db")}`;
    const child = spawn(process.execPath, [CLI, "import", "-", "--dry-run"], {
      env: { PATH: process.env.PATH, DATABASE_URL, TMPDIR },
      stdio: ["pipe", "pipe", "inherit"],
    });
    // Nothing is installed there: it has a database to try the file in, and waits for the file.
    await new Promise((resolve) => child.stdout.once("data", resolve));
    expect(readdirSync(TMPDIR)).toHaveLength(1);
    child.kill(signal);
    expect(await new Promise((resolve) => child.once("exit", (_, by) => resolve(by)))).toBe(signal);
    expect(readdirSync(TMPDIR)).toEqual([]);
  });

  it("names the folder for temporary files where that is full", async ({ skip }) => {
    const disk = openSmallDisk(1);
    if (!disk) {
      console.warn("Nobody may mount a small disk here: a full folder for temporary files is not tried.");
      return skip();
    }
    try {
      disk.fill(300_000);
      const file = join(folder, `${engine}-full.json`);
      const full = `${disk.folder}, the folder for temporary files (TMPDIR), is on a disk that is full.\n`;
      const dry = (DATABASE_URL: string) =>
        cli({ DATABASE_URL, MASTER_KEY, TMPDIR: disk.folder }, "import", file, "--dry-run");
      writeFileSync(file, JSON.stringify({ account: { account_id: "P11200001" } }));
      expect((await dry(`sqlite:${join(folder, "nothing", "latchkey.db")}`)).stderr).toBe(full);
      writeFileSync(file, JSON.stringify(await exported()));
      const { database_url, drop } = await createTestDatabase(engine);
      expect((await dry(database_url)).stderr).toBe(engine === "sqlite" ? full : "");
      await drop();
    } finally {
      disk.remove();
    }
  });
});
