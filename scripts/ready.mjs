/**
 * Makes a fresh clone ready to run: installs exactly what the lockfile says, and builds what changed. Needs nothing itself.
 * Does nothing, quickly, when everything is in place.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const at = (...path) => join(root, ...path);
/** What the build depends on. */
const SOURCES = [
  ...["src", "tsconfig.json", "tsconfig.build.json"],
  ...["scripts/build.mjs", "scripts/bundle.mjs", "scripts/pack-libraries.mjs", "node_modules/.latchkey-lock"],
];
const [major, minor] = process.versions.node.split(".").map(Number);

// Those before cannot `require` an ES module, as a library does.
if (!(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19))) {
  console.error(`Latchkey needs Node.js 20 (from 20.19) or 22.12 and newer; this is ${process.versions.node}.`);
  process.exit(1);
}

install();
build();

function install() {
  const stamp = at("node_modules", ".latchkey-lock");
  const digest = createHash("sha256")
    .update(readFileSync(at("package-lock.json")))
    .digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return;
  console.error("Installing dependencies (once) …");
  const npm = process.env.npm_execpath;
  const [command, ...first] = npm && /\.c?js$/.test(npm) ? [process.execPath, npm] : ["npm"];
  try {
    execFileSync(command, [...first, "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
      cwd: root,
      stdio: ["ignore", 2, 2],
    });
  } catch {
    console.error(
      "Dependencies were not installed: npm says above why. Behind a proxy, set HTTPS_PROXY. Then repeat this.",
    );
    process.exit(1);
  }
  mkdirSync(at("node_modules"), { recursive: true });
  writeFileSync(stamp, digest);
}

function build() {
  const stamp = at("dist", ".built");
  const built = existsSync(stamp) ? statSync(stamp).mtimeMs : 0;
  const newest = Math.max(...SOURCES.map((path) => newestIn(at(path))));
  if (newest < built) return;
  console.error("Building …");
  execFileSync(process.execPath, [at("scripts", "build.mjs")], { cwd: root, stdio: ["ignore", 2, 2] });
}

function newestIn(path) {
  const { mtimeMs } = statSync(path);
  if (!statSync(path).isDirectory()) return mtimeMs;
  return Math.max(mtimeMs, ...readdirSync(path).map((name) => newestIn(join(path, name))));
}
