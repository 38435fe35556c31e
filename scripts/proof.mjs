/**
 * The long forms of what tests and measurements show in short, one after the other: `npm run proof`. Each leaves its figures in
 * `docs/proof`, and `README.md` there is written out of them; what was not run this time keeps the figures of the last time.
 *
 * `--help` says what can be asked for. Ends with status 1 when a part failed; the others still run.
 */
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { optionsOf } from "./options.mjs";
import { proofPage, readJson } from "./proof-page.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const PARTS = ["model", "fuzz", "faults", "bench", "soak"];
const USAGE = `npm run proof -- [options]

  --only parts        ${PARTS.join(",")}
  --out folder        docs/proof where nothing is said
  --short             ask for little of everything, to see that it works`;
const {
  only: chosen = PARTS,
  out = join(root, "docs", "proof"),
  short = false,
} = optionsOf(USAGE, { only: { severalOf: PARTS }, out: "text", short: true });
const folder = resolve(out);
const at = (name) => join(folder, name);
const vitest = (path) => [join(root, "node_modules", "vitest", "vitest.mjs"), "run", path];

/** `lines`: the file that the part's tests append to. */
const parts = {
  model: {
    args: vitest("test/model"),
    lines: ["PROOF_OUT", at("model.jsonl")],
    env: { MODEL_STEPS: short ? "2000" : "100000" },
  },
  fuzz: {
    args: vitest("test/fuzz"),
    lines: ["PROOF_OUT", at("fuzz.jsonl")],
    env: { FUZZ_REQUESTS: short ? "5000" : "1000000" },
  },
  faults: {
    args: vitest("test/faults"),
    lines: ["FAULTS_OUT", at("faults.jsonl")],
    env: { FAULT_ROUNDS: short ? "1" : "5" },
  },
  bench: { args: ["bench/run.mjs", "--out", at("bench.md"), ...(short ? ["--quick"] : [])] },
  soak: { args: ["bench/soak.mjs", "--engine", "both", "--minutes", short ? "1" : "30", "--out", folder] },
};

mkdirSync(folder, { recursive: true });
const runs = readJson(at("runs.json")) ?? {};
for (const [index, name] of chosen.entries()) {
  console.error(`\n[${index + 1}/${chosen.length}] ${name} …`);
  const started = Date.now();
  const passed = await run(parts[name]);
  const seconds = Math.round((Date.now() - started) / 1000);
  runs[name] = { passed, seconds, at: new Date(started).toISOString(), revision: revision(), short };
  writeFileSync(at("runs.json"), `${JSON.stringify(runs, null, 2)}\n`);
  writeFileSync(at("README.md"), proofPage(folder, runs));
  console.error(`[${index + 1}/${chosen.length}] ${name} ${passed ? "passed" : "FAILED"} after ${seconds} s`);
  if (!passed) process.exitCode = 1;
}
console.log(at("README.md"));

function run({ args, lines, env = {} }) {
  const [variable, file] = lines ?? [];
  if (file) rmSync(file, { force: true });
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ...env, ...(variable ? { [variable]: file } : {}) },
  });
  return new Promise((done) => child.once("exit", (code) => done(code === 0)));
}

function revision() {
  try {
    const git = (...args) => execFileSync("git", args, { cwd: root, stdio: "pipe" }).toString().trim();
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--", "src", "test", "bench") ? " and changes" : ""}`;
  } catch {
    return "unknown";
  }
}
