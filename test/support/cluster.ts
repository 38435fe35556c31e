/** PostgreSQL servers of a test's own, for tests that lose one: alone, or a primary with a synchronous standby. */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBinaries, freePort, unprivileged, untilReady } from "../../scripts/postgres.mjs";
import { admin } from "./global-setup.ts";

const settings = (...all: readonly string[]) => all.flatMap((setting) => ["-c", setting]);
const urlOf = (port: number) => `postgres://latchkey@127.0.0.1:${port}/postgres`;

/** PostgreSQL's programs, run as whoever may run them. */
function openTools() {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-cluster-"));
  chmodSync(folder, 0o755);
  const bin = findBinaries(folder);
  const identity = unprivileged();
  const environment = { ...process.env, LC_ALL: "C", HOME: folder };
  const run = (name: string, ...flags: readonly string[]) =>
    execFileSync(join(bin, name), flags, { ...identity, cwd: folder, env: environment, stdio: "ignore" });
  return {
    folder,
    has: (name: string) => existsSync(join(bin, name)),
    run,
    /** A folder that PostgreSQL may call its own. */
    home(path: string): string {
      mkdirSync(path, { mode: 0o700 });
      if (identity.uid !== undefined) chownSync(path, identity.uid, identity.gid ?? identity.uid);
      return path;
    },
    create: (data: string) => run("initdb", "-D", data, "-U", "latchkey", "-A", "trust", "-E", "UTF8", "--no-sync"),
    async start(data: string, port: number, ...further: readonly string[]): Promise<ChildProcess> {
      const flags = ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", "", ...settings(...further)];
      const child = spawn(join(bin, "postgres"), flags, {
        ...identity,
        cwd: folder,
        env: environment,
        stdio: "ignore",
      });
      await untilReady(urlOf(port), child);
      return child;
    },
  };
}

export interface Lone {
  readonly database_url: string;
  /** Starts it again if it has ended. */
  revive(): Promise<void>;
  stop(): Promise<void>;
}

/** One server whose data lies in `folder`. */
export async function openLone(folder: string, ...further: readonly string[]): Promise<Lone> {
  const tools = openTools();
  const data = tools.home(join(folder, "data"));
  const port = await freePort();
  tools.create(data);
  let child = await tools.start(data, port, ...further);
  return {
    database_url: urlOf(port),
    async revive() {
      if (child.exitCode !== null || child.signalCode !== null) child = await tools.start(data, port, ...further);
    },
    async stop() {
      await ended(child, "SIGQUIT");
      rmSync(tools.folder, { recursive: true, force: true });
    },
  };
}

export interface Cluster {
  readonly primary: number;
  readonly standby: number;
  /** Ends the primary at once, as a power cut would. */
  killPrimary(): Promise<void>;
  promote(): Promise<void>;
  stop(): Promise<void>;
}

/** @returns undefined where PostgreSQL's own tools for a standby are not installed. */
export async function openCluster(): Promise<Cluster | undefined> {
  const tools = openTools();
  const remove = () => rmSync(tools.folder, { recursive: true, force: true });
  if (!tools.has("pg_basebackup")) {
    remove();
    return undefined;
  }
  const [primary, standby] = [await freePort(), await freePort()];
  const leads = ["max_connections=100", "hot_standby=on", "wal_level=replica", "synchronous_standby_names=*"];
  // Until there is a standby, nothing waits for one.
  const alone = [...leads, "synchronous_standby_names="];
  const [first, second] = [tools.home(join(tools.folder, "primary")), tools.home(join(tools.folder, "standby"))];
  tools.create(first);
  const before = await tools.start(first, primary, ...alone);
  const source = ["-h", "127.0.0.1", "-p", String(primary), "-U", "latchkey"];
  tools.run("pg_basebackup", ...source, "-D", second, "-R", "--no-sync", "-c", "fast");
  await ended(before, "SIGINT");
  const leading = await tools.start(first, primary, ...leads);
  const following = await tools.start(second, standby, ...alone);
  return {
    primary,
    standby,
    killPrimary: () => ended(leading, "SIGQUIT"),
    promote: () => admin(urlOf(standby), "select pg_promote(true, 30)"),
    async stop() {
      await Promise.all([ended(leading, "SIGQUIT"), ended(following, "SIGQUIT")]);
      remove();
    },
  };
}

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}
