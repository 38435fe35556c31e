import { defineConfig } from "vitest/config";

const project = (name: string, ...include: string[]) => ({ extends: true as const, test: { name, include } });

/** `npx vitest run --project rooms` runs one of them. */
export default defineConfig({
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
