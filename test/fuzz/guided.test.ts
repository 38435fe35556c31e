/** The guidance itself: it finds what nobody finds who only guesses. */
import { expect, it } from "vitest";
import { guided } from "./guided.ts";
import { planted } from "./planted.ts";

it("finds a fault behind four steps, and says with which input", { timeout: 300_000 }, async () => {
  const options = { seeds: ["a"], runs: 30_000, seed: 1, check: planted };
  await expect(guided(options)).rejects.toThrow(/^seed 1, input ".*{.*\[::1\].*%00.*null.*the planted fault/s);
  await expect(guided({ ...options, blind: true })).resolves.toMatchObject({ corpus: ["a"] });
});
