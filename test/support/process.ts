/** The built server in a process of its own, which a test may kill as it likes. */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { freePort } from "../../scripts/postgres.mjs";
import type { Environment } from "../../src/config.ts";
import { MASTER_KEY } from "./latchkey.ts";

export const CLI = fileURLToPath(new URL("../../dist/cli/latchkey.js", import.meta.url));
export const SERVER = fileURLToPath(new URL("../../dist/server.js", import.meta.url));

export interface ServerProcess {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Everything it printed so far. */
  output(): string;
  /** Sends a signal that it survives. */
  signal(signal: NodeJS.Signals): void;
  /** Resolves when it is gone, with its exit code (null after a signal). */
  kill(signal: NodeJS.Signals): Promise<number | null>;
}

export interface ProcessOptions {
  readonly database_url: string;
  readonly port?: number;
  readonly env?: Environment;
  readonly cwd?: string;
  /** By the command line, with these arguments. */
  readonly args?: readonly string[];
  /** Where the server lies, else in the build. */
  readonly main?: string;
  /** What it writes its log to, else `output`. */
  readonly stdout?: number;
  /** How many files and connections it may have open. */
  readonly descriptors?: number;
}

/** Resolves when it answers. */
export async function startProcess(options: ProcessOptions): Promise<ServerProcess> {
  const { child, ...server } = await spawnServer(options);
  await answering(child, server.url, server.output);
  return server;
}

/** It may not have begun to do anything. */
export async function spawnServer({
  database_url,
  port,
  env,
  cwd,
  args,
  main = SERVER,
  stdout,
  descriptors,
}: ProcessOptions): Promise<ServerProcess & { readonly child: ChildProcess }> {
  const chosen = port ?? (await freePort());
  const own = [process.execPath, ...(args ? [CLI, ...args] : [main])] as const;
  const [command, ...rest] = descriptors
    ? (["sh", "-c", `ulimit -n ${descriptors}; exec "$@"`, "sh", ...own] as const)
    : own;
  const child = spawn(command, rest, {
    cwd,
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: database_url,
      MASTER_KEY,
      PORT: String(chosen),
      DEMO: "0",
      LOG_LEVEL: "info",
      ...env,
    },
    stdio: ["ignore", stdout ?? "pipe", "pipe"],
  });
  let output = "";
  child.stdout?.on("data", (chunk) => {
    output += chunk;
  });
  child.stderr?.on("data", (chunk) => {
    output += chunk;
  });
  const gone = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const url = `http://127.0.0.1:${chosen}`;
  return {
    child,
    url,
    port: chosen,
    pid: child.pid ?? 0,
    output: () => output,
    signal: (signal) => void child.kill(signal),
    async kill(signal) {
      child.kill(signal);
      return gone;
    },
  };
}

async function answering(child: ChildProcess, url: string, output: () => string): Promise<void> {
  for (let attempt = 0; attempt < 600; attempt++) {
    if (child.exitCode !== null) throw new Error(`the server ended with ${child.exitCode}: ${output()}`);
    const reply = await fetch(`${url}/healthz`).catch(() => undefined);
    if (reply?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`the server does not answer: ${output()}`);
}

export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command of the built command line. */
export async function cli(env: Environment, ...args: string[]): Promise<Ended> {
  const options = { env: { PATH: process.env.PATH, ...env } };
  return promisify(execFile)(process.execPath, [CLI, ...args], options).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (error: Ended) => error,
  );
}
