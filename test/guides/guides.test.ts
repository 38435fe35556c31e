/** The guides work as they are written: every command in them is run against a server that has just been started. */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ServerProcess, startProcess } from "../support/process.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const GUIDES = join(ROOT, "docs/guides");

/** What each guide promises to print, line by line. */
const promised: Readonly<Record<string, readonly RegExp[]>> = {
  "log-in-by-mail-or-sms.md": [/^[\w-]{36}$/, /^Bearer$/, /^Bearer$/, /^verification_code_used$/],
  "deliver-a-link.md": [/^302 http:\/\/localhost:3000\/callback\?id_token=[\w.-]+&state=af0ifjsldkj$/, /^400 ?$/],
  "partner-to-merchant.md": [/T11200000/, /T11200001/, /admin:accounts/, /^200$/, /^invalid_token$/],
  "log-in-with-openid-connect.md": [/^S256$/, /^af0ifjsldkj$/, /^ada@example\.com$/],
  "passwords-and-second-factors.md": [/^margaret$/, /^mfa_required$/, /^Bearer$/, /^Bearer$/],
};
const read = ["account-api.md", "moving-in.md", "production.md", "upkeep.md"];

describe("the guides", () => {
  let folder: string;
  let server: ServerProcess;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-guides-"));
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
    const env = { DEMO: undefined, DATABASE_URL: undefined, MASTER_KEY: undefined, LOG_LEVEL: "warn" };
    server = await startProcess({ cwd: folder, database_url: "", env });
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    rmSync(folder, { recursive: true, force: true });
  });

  it("have no comment behind a command, which an interactive zsh takes for arguments", () => {
    const documents = ["", "docs", "docs/guides"].flatMap((folder) =>
      readdirSync(join(ROOT, folder))
        .filter((name) => name.endsWith(".md"))
        .map((name) => join(folder, name)),
    );
    const behind = documents.flatMap((name) =>
      [...readFileSync(join(ROOT, name), "utf8").matchAll(/```sh\n([\s\S]*?)```/g)]
        .flatMap(([, block = ""]) => block.split("\n"))
        .filter((line) => /\S\s+#(\s|$)/.test(line))
        .map((line) => `${name}: ${line}`),
    );
    expect(behind).toEqual([]);
  });

  it("are all run, or only told", () => {
    expect(readdirSync(GUIDES).toSorted()).toEqual([...Object.keys(promised), ...read].toSorted());
  });

  it.each(Object.keys(promised))("%s", async (name) => {
    const blocks = [...readFileSync(join(GUIDES, name), "utf8").matchAll(/```sh\n([\s\S]*?)```/g)].map(
      ([, block]) => block,
    );
    const commands = `set -euo pipefail\nlatchkey() { node ${join(ROOT, "dist/cli/latchkey.js")} "$@"; }\n${blocks.join("\n")}`;
    const env = { PATH: process.env.PATH, PORT: String(server.port), HOME: folder };
    const { stdout } = await promisify(execFile)("bash", ["-c", commands], { cwd: folder, env });
    const lines = stdout.trim().split("\n");
    expect(lines.length, stdout).toBe(promised[name]?.length);
    for (const [index, pattern] of (promised[name] ?? []).entries()) expect(lines[index]).toMatch(pattern);
  });
});
