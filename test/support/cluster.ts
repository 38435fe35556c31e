/** A PostgreSQL primary with a synchronous standby, for tests that lose the primary. */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findBinaries, freePort, unprivileged, untilReady } from "../../scripts/postgres.mjs";
import { admin } from "./global-setup.ts";

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
  const folder = mkdtempSync(join(tmpdir(), "latchkey-cluster-"));
  chmodSync(folder, 0o755);
  const bin = findBinaries(folder);
  if (!existsSync(join(bin, "pg_basebackup"))) {
    rmSync(folder, { recursive: true, force: true });
    return undefined;
  }
  const identity = unprivileged();
  const home = (name: string) => {
    const path = join(folder, name);
    mkdirSync(path, { mode: 0o700 });
    if (identity.uid !== undefined) chownSync(path, identity.uid, identity.gid ?? identity.uid);
    return path;
  };
  const run = { ...identity, cwd: folder, env: { ...process.env, LC_ALL: "C", HOME: folder } };
  const [primary, standby] = [await freePort(), await freePort()];
  const urlOf = (port: number) => `postgres://latchkey@127.0.0.1:${port}/postgres`;
  const flags = (data: string, port: number) =>
    [
      "-D",
      data,
      "-h",
      "127.0.0.1",
      "-p",
      String(port),
      "-k",
      "",
      "-c",
      "max_connections=100",
      "-c",
      "hot_standby=on",
    ].concat(["-c", "wal_level=replica", "-c", "synchronous_standby_names=*"]);
  const start = async (data: string, port: number, further: readonly string[] = []) => {
    const child = spawn(join(bin, "postgres"), [...flags(data, port), ...further], { ...run, stdio: "ignore" });
    await untilReady(urlOf(port), child);
    return child;
  };
  const first = home("primary");
  execFileSync(join(bin, "initdb"), ["-D", first, "-U", "latchkey", "-A", "trust", "-E", "UTF8", "--no-sync"], {
    ...run,
    stdio: "ignore",
  });
  // Until there is a standby, nothing waits for one.
  const alone = await start(first, primary, ["-c", "synchronous_standby_names="]);
  const second = home("standby");
  const source = [
    "-h",
    "127.0.0.1",
    "-p",
    String(primary),
    "-U",
    "latchkey",
    "-D",
    second,
    "-R",
    "--no-sync",
    "-c",
    "fast",
  ];
  execFileSync(join(bin, "pg_basebackup"), source, { ...run, stdio: "ignore" });
  await ended(alone, "SIGINT");
  const leading = await start(first, primary);
  const following = await start(second, standby, ["-c", "synchronous_standby_names="]);
  return {
    primary,
    standby,
    killPrimary: () => ended(leading, "SIGQUIT"),
    promote: () => admin(urlOf(standby), "select pg_promote(true, 30)"),
    async stop() {
      await Promise.all([ended(leading, "SIGQUIT"), ended(following, "SIGQUIT")]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ended(child: ReturnType<typeof spawn>, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill(signal);
  await gone;
}
