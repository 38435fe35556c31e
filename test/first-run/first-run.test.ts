/** What a newcomer does: start, paste what was printed, start again; then the same on PostgreSQL, and for real people. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import type { Environment } from "../../src/config.ts";
import { walkthrough } from "../../src/directory/demo/walkthrough.ts";
import { createTestDatabase } from "../support/engines.ts";
import { MASTER_KEY } from "../support/latchkey.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { codeIn, openMailbox, until } from "../support/smtp.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const run = promisify(execFile);

describe("the first run", () => {
  let folder: string;
  const running: ServerProcess[] = [];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-first-"));
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  });
  afterEach(async () => {
    for (const server of running.splice(0)) await server.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  });

  async function start(env: Environment, port?: number): Promise<ServerProcess> {
    const options = { cwd: folder, database_url: "", env: { DEMO: undefined, ...env } };
    const server = await startProcess(port === undefined ? options : { ...options, port });
    running.push(server);
    return server;
  }

  /** Runs commands as a person's shell would. */
  const paste = async (commands: string) => (await run("bash", ["-c", commands], { cwd: folder })).stdout;
  const cli = async (env: Environment, ...args: string[]) => {
    const { stdout } = await run(process.execPath, [join(ROOT, "dist/cli/latchkey.js"), ...args, "--json"], {
      cwd: folder,
      env: { PATH: process.env.PATH, ...env },
    });
    return JSON.parse(stdout);
  };

  function expectRedirect(output: string, email: string, callback: string): void {
    const [, location] = /^302 (\S+)$/m.exec(output) ?? [];
    expect(location, output).toBeDefined();
    expect(location?.startsWith(`${callback}?id_token=`)).toBe(true);
    expect(new URL(location ?? "").searchParams.get("state")).toBe("af0ifjsldkj");
    // The last command printed the claims only because the token verified.
    expect(output).toContain(`email: '${email}'`);
    expect(output).toContain(`aud: '${callback}'`);
  }

  it("prints a walk-through that ends in a redirect when it is pasted, and finds its data at the next start", async () => {
    const unset = { DATABASE_URL: undefined, MASTER_KEY: undefined, LOG_LEVEL: "warn" };
    const first = await start(unset);
    // Whoever waits for the first answer, a script or a container, finds the demo whole.
    const demo = JSON.parse(readFileSync(join(folder, "data/demo.json"), "utf8"));
    const printed = await until("the walk-through", () =>
      first.output().includes("# 6.") ? first.output() : undefined,
    );
    const commands = printed.slice(printed.indexOf("# 1."));
    expect(commands.trim()).toBe(walkthrough("./data/demo.json").trim());
    const [, login = ""] = /^Its login pages: (\S+)$/m.exec(printed) ?? [];
    expect(readFileSync(join(ROOT, "README.md"), "utf8")).toContain(login.replace(`:${first.port}/`, ":8080/"));
    expect(await (await fetch(login)).text()).toContain("Log in to Demo");
    expectRedirect(await paste(commands), "ada@example.com", "http://localhost:3000/callback");
    expect(first.output()).not.toContain(demo.client_secret);
    for (const file of ["demo.json", "master.key"])
      expect(statSync(join(folder, "data", file)).mode & 0o777).toBe(0o600);

    expect(await running.pop()?.kill("SIGTERM")).toBe(0);
    const second = await start(unset, first.port);
    expect(second.output()).not.toContain("# 1.");
    expectRedirect(await paste(commands), "ada@example.com", "http://localhost:3000/callback");
    expect(JSON.parse(readFileSync(join(folder, "data/demo.json"), "utf8"))).toEqual(demo);
  });

  it("prints it at the start that serves, when the one before found its port taken", async () => {
    const other = createServer((_request, reply) => reply.writeHead(404).end()).listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const settings = { DATABASE_URL: `sqlite:${join(folder, "taken/latchkey.db")}`, MASTER_KEY, LOG_LEVEL: "warn" };
    await expect(start(settings, port)).rejects.toThrow(`PORT ${port} is in use`);
    expect(existsSync(join(folder, "taken/demo.json"))).toBe(false);
    other.closeAllConnections();
    await new Promise((done) => other.close(done));
    const second = await start(settings, port);
    await until("the walk-through", () => second.output().includes("# 6.") || undefined);
    await running.pop()?.kill("SIGTERM");
  });

  it("is the walk-through of the README", () => {
    expect(readFileSync(join(ROOT, "README.md"), "utf8")).toContain(walkthrough("./data/demo.json"));
  });

  it("has no quotes in its comments, which are none to a zsh that is typed into", () => {
    expect(walkthrough("./data/demo.json").match(/^#.*/gm)?.join("\n")).not.toMatch(/['"`]/);
  });

  it("runs the same with PostgreSQL", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const server = await start({ DATABASE_URL: database_url, MASTER_KEY, LOG_LEVEL: "warn" });
    const printed = await until("the walk-through", () =>
      server.output().includes("# 6.") ? server.output() : undefined,
    );
    expectRedirect(
      await paste(printed.slice(printed.indexOf("# 1."))),
      "ada@example.com",
      "http://localhost:3000/callback",
    );
    expect(existsSync(join(folder, "data/latchkey.db"))).toBe(false);
    await running.pop()?.kill("SIGTERM");
    await drop();
  });

  it("runs for a production account made on the command line, with the code from a real mail", async () => {
    const mailbox = await openMailbox();
    await mailbox.start();
    const port = await freePort();
    const public_url = `http://localhost:${port}`;
    const settings = { DATABASE_URL: `sqlite:${join(folder, "shop.db")}`, MASTER_KEY, PUBLIC_URL: public_url };
    const mail_settings = { SMTP_URL: mailbox.url, MAIL_FROM: "login@shop.example" };
    await start({ ...settings, ...mail_settings, DEMO: "0" }, port);
    const { account_id, issuer } = await cli(settings, "account", "create", "P11200001", "--name", "Shop");
    const redirect_uri = "https://shop.example/callback";
    const create = ["client", "create", account_id, "--client-id", "web", "--name", "Shop", "--callback", redirect_uri];
    const { client_id, client_secret } = await cli(settings, ...create);
    await cli(settings, "grant", "create", account_id, client_id, "--scope", "admin:accounts");
    const user_email = "grace@example.com";
    await cli(settings, "user", "create", account_id, "--email", user_email);
    const demo = {
      base_url: public_url,
      account_id,
      client_id,
      client_secret,
      audience: issuer,
      redirect_uri,
      user_email,
    };
    writeFileSync(join(folder, "demo.json"), JSON.stringify(demo));

    const steps = walkthrough("./demo.json").split(/(?=^# \d\.)/m);
    await paste(steps.slice(0, 3).join(""));
    const mail = await until("the mail", () => mailbox.mails[0]);
    const output = await paste([...steps.slice(0, 2), `CODE=${codeIn(mail)}\n`, ...steps.slice(4)].join(""));
    expectRedirect(output, user_email, redirect_uri);
    await mailbox.stop();
  });

  it("starts again on a database that exists", async () => {
    const settings = { DATABASE_URL: `sqlite:${join(folder, "again.db")}`, MASTER_KEY, DEMO: "0" };
    const times: number[] = [];
    for (let round = 0; round < 4; round++) {
      const began = performance.now();
      await start(settings);
      times.push(performance.now() - began);
      await running.pop()?.kill("SIGTERM");
    }
    // Printed, not judged: a machine may be busy.
    console.log(`start on an existing database: ${times.slice(1).map(Math.round).join(", ")} ms`);
  });
});
