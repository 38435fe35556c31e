/**
 * Libraries that come as hundreds of little modules, in one or two files each, for what runs beside the bundles: the threads
 * of a server, and tests. They go to `dist/node_modules`, where what is built looks first; versions and licences are those of
 * `node_modules`.
 */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));

/** By name, what is imported of it. */
const libraries = {
  kysely: ["."],
  typebox: [".", "./system", "./value"],
};

/** @param {string} dist folder of what is built */
export async function packLibraries(dist) {
  for (const [name, paths] of Object.entries(libraries)) await pack(name, paths, join(dist, "node_modules", name));
}

async function pack(name, paths, to) {
  const from = join(root, "node_modules", name);
  const { version, license } = JSON.parse(readFileSync(join(from, "package.json"), "utf8"));
  const files = Object.fromEntries(paths.map((path) => [path, path === "." ? "index" : path.slice(2)]));
  const input = Object.fromEntries(paths.map((path) => [files[path], join(name, path)]));
  const bundle = await rolldown({ cwd: root, input, platform: "node", logLevel: "warn" });
  await bundle.write({ dir: to, format: "esm", entryFileNames: "[name].js", chunkFileNames: "[name]-[hash].js" });
  await bundle.close();
  const exports = Object.fromEntries(paths.map((path) => [path, `./${files[path]}.js`]));
  writeFileSync(join(to, "package.json"), JSON.stringify({ name, version, license, type: "module", exports }, null, 2));
  for (const file of readdirSync(from)) if (/^licen[cs]e/i.test(file)) copyFileSync(join(from, file), join(to, file));
}
