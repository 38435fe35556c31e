/**
 * The measurements stand on rooms of the house and go with them: each suite runs, if only for a moment. What it measures
 * then says nothing.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";

const BENCH = fileURLToPath(new URL("../../bench/run.mjs", import.meta.url));

describeOnBothEngines("the measurements", (engine) => {
  it("run, and come to figures and ratios", async () => {
    const little = ["--requests", "40", "--rounds", "1", "--growth", "1000", "--without-peers", "--json"];
    const suites = ["authorize", "standard", "passwordless", "connections", "growth"];
    const args = [BENCH, "--engine", engine, "--suite", suites.join(","), ...little];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env: process.env, maxBuffer: 2 ** 24 });
    const { ratios, figures } = JSON.parse(stdout);
    expect(new Set(figures.map(({ suite }: { suite: string }) => suite))).toEqual(new Set(suites));
    expect(figures.filter(({ per_second }: { per_second: number }) => !(per_second > 0))).toEqual([]);
    expect(ratios).toMatchObject({ [`authorize_${engine}_to_ceiling`]: expect.any(Number) });
    expect(Object.values(ratios).filter((ratio) => !(Number(ratio) > 0))).toEqual([]);
  });
});
