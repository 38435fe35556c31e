/** What is done is done, also where whoever was to read of it has gone. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MASTER_KEY } from "../support/latchkey.ts";
import { CLI, cli, spawnServer } from "../support/process.ts";
import { until } from "../support/smtp.ts";

describe("standard output that nobody reads", () => {
  let folder: string;
  let env: Record<string, string | undefined>;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-unread-"));
    env = { DATABASE_URL: `sqlite:${folder}/latchkey.db`, MASTER_KEY, PATH: process.env.PATH };
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function unread(...args: string[]) {
    const child = spawn(process.execPath, [CLI, ...args], { env });
    child.stdout.destroy();
    let said = "";
    child.stderr.on("data", (piece) => {
      said += piece;
    });
    const [code] = await once(child, "close");
    return [code, said];
  }

  it("fails no command that has done its work", async () => {
    const plan = join(folder, "plan.json");
    writeFileSync(plan, JSON.stringify({ account: { account_id: "P11200002" } }));
    const commands = [
      `import ${plan} --dry-run`,
      "migrate",
      "account create P11200001",
      "client create P11200001 --client-id web",
      "grant create P11200001 web",
      "user create P11200001 --email ada@example.com --json",
      "account list",
      "client list P11200001 --json",
      "client set P11200001 web first_party=true",
      "keys rotate P11200001",
      `import ${plan}`,
      "doctor",
    ];
    for (const command of commands) expect(await unread(...command.split(" ")), command).toEqual([0, ""]);
    expect((await cli(env, "account", "create", "P11200002")).stderr).toContain("taken");
    expect((await unread("account", "create", "P11200001"))[0]).toBe(1);
  }, 120_000);

  it("is told of where it takes nothing for another reason", async ({ skip }) => {
    if (!existsSync("/dev/full")) return skip();
    const full = openSync("/dev/full", "w");
    for (const command of ["doctor", "export P11200001"]) {
      const child = spawn(process.execPath, [CLI, ...command.split(" ")], { env, stdio: ["ignore", full, "pipe"] });
      let said = "";
      child.stderr?.on("data", (piece) => {
        said += piece;
      });
      const [code] = await once(child, "close");
      expect([code, said], command).toEqual([1, "standard output is on a disk that is full.\n"]);
    }
    closeSync(full);
  });

  it("ends no server on a disk that is full, nor keeps one from ending", async ({ skip, onTestFinished }) => {
    if (!existsSync("/dev/full")) return skip();
    const full = openSync("/dev/full", "w");
    const { child, ...server } = await spawnServer({ database_url: `sqlite:${folder}/full.db`, stdout: full });
    onTestFinished(() => void child.kill("SIGKILL"));
    closeSync(full);
    const ask = () => fetch(`${server.url}/healthz`).then(({ status }) => status);
    await until("it to answer, or to end", async () => (await ask().catch(() => child.exitCode)) ?? undefined);
    for (let n = 0; n < 5; n++) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      expect(await ask()).toBe(200);
    }
    expect([await server.kill("SIGTERM"), server.output()]).toEqual([0, ""]);
  });

  it("ends no server", async () => {
    const database_url = `sqlite:${folder}/server.db`;
    const { child, ...server } = await spawnServer({ database_url, env: { DEMO: "1" } });
    child.stdout?.destroy();
    const answers = async () =>
      (await fetch(`${server.url}/healthz`).catch(() => undefined))?.ok || child.exitCode !== null;
    await until("it to answer, or to end", async () => (await answers()) || undefined);
    expect([await server.kill("SIGTERM"), server.output()]).toEqual([0, ""]);
  });
});
