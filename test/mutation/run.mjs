/**
 * Breaks rooms on purpose and says what no test noticed: `npm run mutation -- limits callback`, all of them without a
 * name. `--force` begins anew; else only what changed since the last run is broken again. Reports lie in
 * `data/mutation`.
 */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { packLibraries } from "../../scripts/pack-libraries.mjs";
import { startPostgres } from "../../scripts/postgres.mjs";
import { rooms } from "./rooms.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const stryker = `${root}test/mutation/node_modules/@stryker-mutator/core/bin/stryker.js`;
const options = process.argv.slice(2).filter((word) => word.startsWith("--"));
const asked = process.argv.slice(2).filter((word) => !word.startsWith("--"));
const names = asked.length > 0 ? asked : Object.keys(rooms);
for (const name of names) {
  if (!rooms[name]) throw new Error(`${name} is none of ${Object.keys(rooms).join(", ")}`);
}

if (!existsSync(stryker)) execFileSync("npm", ["--prefix", `${root}test/mutation`, "ci"], { stdio: "inherit" });
// They are read anew for each change, so they come in few files.
await packLibraries(`${root}data/mutation`);
const PACKED = `${root}data/mutation/node_modules`;
const enginesOf = (name) => rooms[name].engines ?? "sqlite,postgres";
const postgres = names.some((name) => enginesOf(name).includes("postgres")) ? await startPostgres() : undefined;
const summaries = [];
try {
  for (const name of names) {
    const env = {
      ...process.env,
      ROOM: name,
      ENGINES: enginesOf(name),
      TEST_DATABASE_URL: postgres?.url ?? "",
      PACKED,
    };
    const args = [stryker, "run", "test/mutation/stryker.config.mjs", ...options];
    const { status } = spawnSync(process.execPath, args, { cwd: root, env, stdio: "inherit" });
    if (status !== 0) process.exitCode = 1;
    else summaries.push({ room: name, ...summaryOf(name) });
  }
} finally {
  await postgres?.stop();
}
console.table(summaries);

function summaryOf(name) {
  const { files } = JSON.parse(readFileSync(`${root}data/mutation/${name}.json`, "utf8"));
  const all = Object.values(files).flatMap(({ mutants }) => mutants);
  const count = (...statuses) => all.filter(({ status }) => statuses.includes(status)).length;
  const [killed, timeouts, survived] = [count("Killed"), count("Timeout"), count("Survived", "NoCoverage")];
  const mutants = killed + timeouts + survived;
  return { mutants, killed, timeouts, survived, score: `${((100 * (killed + timeouts)) / mutants).toFixed(1)} %` };
}
