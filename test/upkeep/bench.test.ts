/**
 * The measurements stand on rooms of the house and go with them: each suite runs, if only for a moment. What it measures
 * then says nothing.
 */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it } from "vitest";
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

describe("whoever measures", () => {
  it.each([
    [["--rounds", "none"], "--rounds is a number above 0"],
    [
      ["--suite", "authorize,logins"],
      '--suite knows authorize, standard, passwordless, connections, workers, growth, timing, not "logins"',
    ],
    [["--engine", "mysql"], "--engine knows sqlite, postgres"],
    [["--fast"], "--fast"],
  ])("hears what is wrong with %j, and what can be asked for", async (args, reason) => {
    const refused = promisify(execFile)(process.execPath, [BENCH, ...args]);
    await expect(refused).rejects.toMatchObject({ code: 2, stderr: expect.stringContaining(reason) });
    await expect(refused).rejects.toMatchObject({ stderr: expect.stringMatching(/^ {2}--quick/m), stdout: "" });
  });
});
