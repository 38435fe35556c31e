/** Servers that Latchkey is measured against, installed from their own lockfile in `bench/peers`. */
import { execFileSync, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const at = (name) => fileURLToPath(new URL(`peers/${name}`, import.meta.url));

/** Installs them once. */
export function preparePeers() {
  const stamp = at("node_modules/.latchkey-lock");
  const digest = createHash("sha256")
    .update(readFileSync(at("package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  console.error("Installing what Latchkey is measured against (once) …");
  const options = ["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"];
  execFileSync("npm", options, { cwd: at("."), stdio: ["ignore", 2, 2] });
  writeFileSync(stamp, digest);
}

/** A peer in a process of its own, which prints its port once it answers. */
export async function startPeer(name, env = {}) {
  const child = spawn(process.execPath, [at(`${name}.mjs`)], {
    env: { PATH: process.env.PATH, NODE_ENV: "production", ...env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const port = await new Promise((resolve, reject) => {
    child.stdout.once("data", (chunk) => resolve(Number(String(chunk).trim())));
    child.once("exit", () => reject(new Error(`${name} did not start`)));
  });
  const stop = async () => {
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    await gone;
  };
  return { port, pid: child.pid, stop };
}
