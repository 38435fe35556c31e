/**
 * Breaks one room's code on purpose, one small change at a time, and looks whether a test notices. Begun by `run.mjs`; the rooms
 * and the tests that have to notice are in `rooms.mjs`.
 */
import { rooms } from "./rooms.mjs";

const name = process.env.ROOM ?? "";
const { mutate } = rooms[name];

export default {
  mutate,
  // Texts for people, names and SQL: an emptied statement fails everything and says nothing.
  mutator: { excludedMutations: ["StringLiteral"] },
  testRunner: "vitest",
  vitest: { configFile: "test/mutation/vitest.config.mjs", related: false },
  plugins: ["@stryker-mutator/vitest-runner"],
  coverageAnalysis: "perTest",
  concurrency: 1,
  timeoutMS: 60_000,
  incremental: true,
  incrementalFile: `data/mutation/${name}-incremental.json`,
  tempDirName: "data/mutation/sandboxes",
  ignorePatterns: ["dist", "data", "bench", "docs", ".ci", "test/mutation/node_modules"],
  reporters: ["clear-text", "json", "progress-append-only"],
  jsonReporter: { fileName: `data/mutation/${name}.json` },
  clearTextReporter: { allowColor: false, reportTests: false, reportScoreTable: false },
  allowConsoleColors: false,
};
