/** Everything that is checked without running the product: types, style, floors, generated files, file lengths. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);
const LINES = 400;
let failed = false;

check("types", () => node(require.resolve("typescript/bin/tsc"), "-p", "."));
check("style", () => node(join(root, "node_modules/@biomejs/biome/bin/biome"), "check", "--error-on-warnings", "."));
check("floors", floors);
check("build", () => node("scripts/ready.mjs"));
check("tables", () => node("scripts/tables.mjs", "--check"));
check("contracts", () => node("scripts/contracts.mjs", "--check"));
check("lengths", lengths);
process.exit(failed ? 1 : 0);

function check(name, run) {
  const started = Date.now();
  try {
    const note = run();
    console.log(`ok      ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)${note ? `: ${note}` : ""}`);
  } catch (error) {
    failed = true;
    console.log(
      `FAILED  ${name}\n${error.stdout?.toString() ?? ""}${error.stderr?.toString() ?? ""}${error.stdout ? "" : error.message}`,
    );
  }
}

function node(...args) {
  execFileSync(process.execPath, args, { cwd: root, stdio: "pipe", maxBuffer: 1 << 26 });
}

/** A cruise that saw fewer modules than there are has checked nothing. */
function floors() {
  const args = [
    "node_modules/dependency-cruiser/bin/dependency-cruise.mjs",
    "--config",
    ".dependency-cruiser.cjs",
    "--output-type",
    "json",
    "src",
  ];
  let report;
  try {
    report = execFileSync(process.execPath, args, { cwd: root, stdio: "pipe", maxBuffer: 1 << 27 });
  } catch (error) {
    report = error.stdout;
  }
  const { modules, summary } = JSON.parse(report);
  const cruised = modules.filter(({ source }) => source.startsWith("src/") && source.endsWith(".ts")).length;
  const there = files(join(root, "src")).filter((file) => file.endsWith(".ts")).length;
  if (cruised !== there) throw new Error(`cruised ${cruised} modules of ${there}`);
  const errors = summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`);
  if (errors.length > 0) throw new Error(errors.join("\n"));
  return `${cruised} modules`;
}

function lengths() {
  const long = ["src", "test", "bench", "scripts"]
    .flatMap((folder) => files(join(root, folder)))
    .filter((file) => /\.(ts|mjs)$/.test(file) && !file.endsWith("storage/tables.ts"))
    .filter((file) => readFileSync(file, "utf8").split("\n").length > LINES + 1);
  if (long.length > 0) throw new Error(`longer than ${LINES} lines: ${long.join(", ")}`);
}

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules") return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? files(path) : [path];
  });
}
