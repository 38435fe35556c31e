/** Standard output that is read slowly, or not at all: it costs lines, and neither the server nor other lines. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  createReadStream,
  existsSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { MASTER_KEY } from "../support/latchkey.ts";
import { CLI, startProcess } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { pause } from "../support/wire.ts";

const LOG = fileURLToPath(new URL("../../dist/telemetry/log.js", import.meta.url));
/** Opens a terminal for what it runs, and reads it. */
const SCRIPT = "/usr/bin/script";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "latchkey-slow-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A pipe in the file system, with a writer, so that opening either end waits for nobody. */
function openPipe(name: string): { readonly path: string; readonly writer: number } {
  const path = join(folder, name);
  execFileSync("mkfifo", [path]);
  return { path, writer: openSync(path, constants.O_RDWR) };
}

/** More lines than a pipe or a terminal has room for. */
async function fill(url: string): Promise<void> {
  for (let n = 0; n < 500; n++) await fetch(`${url}/v1/accounts/T00000001/nothing`).then((reply) => reply.text());
}

describe("a log that nobody reads any more keeps no server from its end", () => {
  it("at a terminal that is paused", async ({ skip, onTestFinished }) => {
    if (process.platform !== "linux" || !existsSync(SCRIPT)) return skip();
    const port = await freePort();
    const ended = join(folder, "ended");
    const command = `'${process.execPath}' '${CLI}' serve; echo $? >'${ended}'`;
    const env = { PATH: process.env.PATH, DATABASE_URL: `sqlite:${folder}/paused.db`, MASTER_KEY, PORT: String(port) };
    const terminal = spawn(SCRIPT, ["-qfc", command, "/dev/null"], { env, stdio: ["ignore", "pipe", "inherit"] });
    let shown = "";
    terminal.stdout.on("data", (piece) => {
      shown += piece;
    });
    const pid = Number(await until("the server", () => /"pid":(\d+)[^\n]*"listening"/.exec(shown)?.[1]));
    onTestFinished(() => {
      if (!existsSync(ended)) process.kill(pid, "SIGKILL");
      terminal.kill("SIGKILL");
    });
    terminal.kill("SIGSTOP");
    await fill(`http://127.0.0.1:${port}`);
    process.kill(pid, "SIGTERM");
    await until("its end", () => existsSync(ended) || undefined, 20_000);
    terminal.kill("SIGCONT");
    await once(terminal, "close");
    expect(execFileSync("cat", [ended], { encoding: "utf8" })).toBe("0\n");
  }, 60_000);

  it("at a pipe that another process has made one that blocks", async ({ onTestFinished }) => {
    const { writer } = openPipe("shared");
    // Node.js leaves a pipe as it found it, whoever else writes to it meanwhile.
    const neighbour = spawn(
      process.execPath,
      ["-e", "process.stdout; process.stdin.resume(); console.error('ready')"],
      {
        stdio: ["pipe", writer, "pipe"],
      },
    );
    await once(neighbour.stderr as Readable, "data");
    const server = await startProcess({ database_url: `sqlite:${folder}/shared.db`, stdout: writer });
    onTestFinished(() => void server.kill("SIGKILL"));
    neighbour.stdin?.end();
    await once(neighbour, "close");
    await fill(server.url);
    const gone = server.kill("SIGTERM");
    expect(await Promise.race([gone, pause(20_000).then(() => "still there")])).toBe(0);
    closeSync(writer);
  }, 60_000);
});

describe("lines of several processes", () => {
  const LINES = 4_000;
  /** Two that log at once what a slow reader takes long to read. */
  const main = `
    import cluster from "node:cluster";
    import { openLogger } from ${JSON.stringify(LOG)};
    if (cluster.isPrimary) for (let n = 0; n < 2; n++) cluster.fork();
    else {
      const log = openLogger("info");
      for (let n = 0; n < ${LINES}; n++) log.info({ n, text: "x".repeat((n * 37) % 300) });
    }`;

  it.each([["pipe"], ["socket"]])(
    "stay whole on one %s, however slowly it is read",
    async (kind) => {
      const file = join(folder, "two.mjs");
      writeFileSync(file, main);
      const pipe = kind === "pipe" ? openPipe("lines") : undefined;
      const reader = pipe && createReadStream(pipe.path);
      const child = spawn(process.execPath, [file], { stdio: ["ignore", pipe?.writer ?? "pipe", "inherit"] });
      if (pipe) closeSync(pipe.writer);
      let text = "";
      let count = 0;
      for await (const piece of (reader ?? child.stdout) as Readable) {
        text += piece;
        count += String(piece).split("\n").length - 1;
        if (count >= 2 * LINES) break;
        await pause(20);
      }
      child.kill("SIGTERM");
      const lines = text.split("\n").slice(0, 2 * LINES);
      const of = new Map<number, number[]>();
      const torn = lines.filter((line) => {
        try {
          const { pid, n } = JSON.parse(line);
          of.set(pid, [...(of.get(pid) ?? []), n]);
          return false;
        } catch {
          return true;
        }
      });
      expect(torn.slice(0, 3)).toEqual([]);
      const all = Array.from({ length: LINES }, (_, n) => n);
      expect([...of.values()]).toEqual([all, all]);
    },
    60_000,
  );
});
