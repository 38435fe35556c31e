/** What `keys rotate` says of the time: from when the next key signs, and how long the one before it counts. */
import { expect, it } from "vitest";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { MASTER_KEY } from "../support/latchkey.ts";
import { cli } from "../support/process.ts";

const HOUR = 3_600_000;

interface Turn {
  readonly alg: string;
  readonly kid: string | null;
  readonly signs_from: string;
  readonly old_verifies_until: string | null;
}

describeOnBothEngines("keys rotate", (engine) => {
  it("says when the new key signs and until when the old one verifies, also while that is under way", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = (...args: string[]) => cli({ DATABASE_URL: database.database_url, MASTER_KEY }, ...args);
    const rotate = async (...flags: string[]): Promise<readonly Turn[]> =>
      JSON.parse((await latchkey("keys", "rotate", "T11200001", "--json", ...flags)).stdout).rotated;
    await latchkey("account", "create", "T11200001");
    expect((await latchkey("account", "set", "T11200001", "key_publication_lead=7200")).code).toBe(0);
    const before = Date.now();
    const [turn] = await rotate();
    const after = (at: string | null | undefined) => Math.floor((Date.parse(at ?? "") - before) / HOUR);
    expect([after(turn?.signs_from), after(turn?.old_verifies_until)]).toEqual([2, 2 + 24]);
    expect(turn?.kid).toMatch(/^[\w-]{43}$/);
    expect((await rotate()).find(({ alg }) => alg === turn?.alg)).toEqual({ ...turn, kid: null });
    const until = `signs from ${turn?.signs_from}; the old one verifies until ${turn?.old_verifies_until}`;
    expect((await latchkey("keys", "rotate", "T11200001")).stdout).toContain(
      `${turn?.alg}  a rotation is under way already: its key ${until}\n`,
    );
    const [at_once] = await rotate("--now");
    expect([after(at_once?.signs_from), at_once?.old_verifies_until]).toEqual([0, null]);
    const { stdout } = await latchkey("keys", "rotate", "T11200001", "--now");
    expect(stdout).toMatch(/^\w+ {2}new key [\w-]{43} signs from 2\S+Z; no older one verifies$/m);
    await database.drop();
  });
});
