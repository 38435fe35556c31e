import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const project = (name: string, ...include: string[]) => ({ extends: true as const, test: { name, include } });

/** Libraries of a thousand little modules, as the build packs them: each test file would read them anew. */
const packed = (name: string) => fileURLToPath(new URL(`./dist/node_modules/${name}.js`, import.meta.url));
const alias = [
  { find: /^kysely$/, replacement: packed("kysely/index") },
  { find: /^typebox$/, replacement: packed("typebox/index") },
  { find: /^typebox\/(\w+)$/, replacement: packed("typebox/$1") },
];

/** `npx vitest run --project rooms` runs one of them. */
export default defineConfig({
  resolve: { alias },
  test: {
    globalSetup: ["test/support/global-setup.ts"],
    testTimeout: 180_000,
    hookTimeout: 180_000,
    // One more than the cores of a small machine: many tests wait for a clock or another process.
    maxWorkers: 3,
    projects: [
      project("rooms", "src/**/*.test.ts"),
      project("flows", "test/{flows,isolation,contract,interop,browser,security,model,fuzz}/**/*.test.ts"),
      project("process", "test/{first-run,guides,upkeep,faults}/**/*.test.ts"),
    ],
  },
});
