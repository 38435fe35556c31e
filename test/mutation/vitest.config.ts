import { defineConfig } from "vitest/config";
import { rooms } from "./rooms.mjs";

const room = rooms[process.env.ROOM as keyof typeof rooms];

/** The tests of one room, as Stryker runs them. */
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    globalSetup: process.env.ENGINES === "" ? [] : ["test/support/global-setup.ts"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    maxWorkers: 1,
    include: room?.tests ?? [],
  },
});
