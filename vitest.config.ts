import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vitest/config";

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url));
const [src, dist] = [at("./src/"), at("./dist/")];
const in_dist = new RegExp(`^${dist.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}`);

/** Rooms as the build made them, which Node reads by itself: each test file would have them made anew. */
const rooms: Plugin = {
  name: "rooms-as-built",
  enforce: "pre",
  resolveId(source, importer) {
    const path = importer && source.startsWith(".") ? resolve(dirname(importer), source) : "";
    return path.startsWith(src) ? path.replace(src, dist).replace(/\.ts$/, ".js") : undefined;
  },
};
/** Libraries of a thousand little modules, as the build packs them: each test file would read them anew. */
const packed = (name: string) => at(`./dist/node_modules/${name}.js`);
const alias = [
  { find: /^kysely$/, replacement: packed("kysely/index") },
  { find: /^typebox$/, replacement: packed("typebox/index") },
  { find: /^typebox\/(\w+)$/, replacement: packed("typebox/$1") },
];

const project = (name: string, ...include: string[]) => ({
  resolve: { alias },
  test: { name, include, testTimeout: 180_000, hookTimeout: 180_000 },
});
/**
 * Of tests that come to the rooms from outside. Files of one worker share what it has loaded and warmed up, and nothing else:
 * each starts servers of its own. Rooms' own tests look at what a module keeps.
 */
const outside = (name: string, ...include: string[]) => {
  const { resolve, test } = project(name, ...include);
  return { resolve, plugins: [rooms], test: { ...test, isolate: false, server: { deps: { external: [in_dist] } } } };
};

/** `npx vitest run --project rooms` runs one of them. None extends this one: it would be set up once for each. */
export default defineConfig({
  test: {
    // Rooms are built before a run, and tests from outside do not see that their sources change.
    watch: false,
    globalSetup: ["test/support/global-setup.ts"],
    // One more than the cores of a small machine: many tests wait for a clock or another process.
    maxWorkers: 3,
    projects: [
      project("rooms", "src/**/*.test.ts"),
      outside("flows", "test/{flows,isolation,contract,interop,browser,security,model,fuzz}/**/*.test.ts"),
      outside("process", "test/{first-run,guides,upkeep,faults}/**/*.test.ts"),
    ],
  },
});
