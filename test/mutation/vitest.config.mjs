import { defineConfig } from "vitest/config";
import { rooms } from "./rooms.mjs";

const { tests } = rooms[process.env.ROOM];
const servers = tests.some((path) => path.startsWith("test/"));
const postgres = process.env.ENGINES?.includes("postgres");
const setup = servers ? "test/support/global-setup.ts" : "test/mutation/global-setup.ts";

/** Libraries of a thousand little modules, as the build packs them. */
const packed = (find, path) => ({ find, replacement: `${process.env.PACKED}/${path}.js` });
const alias = [
  packed(/^kysely$/, "kysely/index"),
  packed(/^typebox$/, "typebox/index"),
  packed(/^typebox\/(\w+)$/, "typebox/$1"),
];

/** The tests of one room, as Stryker runs them: they read `src`, where it is broken, and flows do so here as well. */
export default defineConfig({
  resolve: { alias: process.env.PACKED ? alias : [] },
  test: {
    root: new URL("../..", import.meta.url).pathname,
    globalSetup: servers || postgres ? [setup] : [],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 1,
    include: tests,
  },
});
