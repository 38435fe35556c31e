/** Compiles src to dist, copies what is not TypeScript (migrations, the hashing process) beside it, and bundles what people start. */
import { execFileSync } from "node:child_process";
import { cpSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";
import { packLibraries } from "./pack-libraries.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");

const begun = new Date();
rmSync(`${root}dist`, { recursive: true, force: true });
execFileSync(process.execPath, [tsc, "-p", `${root}tsconfig.build.json`], { stdio: "inherit" });
cpSync(`${root}src`, `${root}dist`, {
  recursive: true,
  filter: (source) => !source.endsWith(".ts"),
});
await packLibraries(`${root}dist`);
await bundle(`${root}dist`);
// What scripts/ready.mjs compares the sources with: what was saved since the build began is not in it.
writeFileSync(`${root}dist/.built`, "");
utimesSync(`${root}dist/.built`, begun, begun);
