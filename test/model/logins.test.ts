/**
 * Random commands, many at a time, against the server and a small reference model. What was seen has to be a history of
 * objects that do one thing at a time: it is checked for linearizability, person by person. On PostgreSQL two processes
 * share the database.
 *
 * MODEL_STEPS asks for more steps, MODEL_SEED for one run again. A seed that fails is kept in `seeds.json`, and run
 * first from then on. PROOF_OUT names a file that gets a line of JSON for every engine.
 */
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { openLogger } from "../../src/telemetry/log.ts";
import { rotateKey } from "../../src/tokens/keys/rotate-key.ts";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { type Command, PEOPLE, plan, type Turn } from "./commands.ts";
import { forgetful } from "./forgetful.ts";
import { Shop } from "./shop.ts";

const STEPS = Number(process.env.MODEL_STEPS ?? 600);
const LONG = 20_000;
const SEEDS = new URL("./seeds.json", import.meta.url);
const kept: readonly number[] = JSON.parse(readFileSync(SEEDS, "utf8"));
/** A server logs to nobody here, however often it is started again. */
const log = openLogger("silent", { write: () => {} });

describeOnBothEngines("logins, many at a time", (engine) => {
  let database: TestDatabase;
  let ports: readonly number[];
  let servers: readonly Latchkey[] = [];
  beforeAll(async () => {
    database = await createTestDatabase(engine);
    ports = engine === "postgres" ? [await freePort(), await freePort()] : [await freePort()];
    servers = await start();
  });
  afterAll(async () => {
    await stop();
    await database.drop();
  });

  const start = () =>
    Promise.all(
      ports.map((port) =>
        startLatchkey(engine, { database, port, log, public_url: `http://localhost:${String(ports[0])}` }),
      ),
    );
  const stop = () => Promise.all(servers.map((one) => one.stop()));

  async function restart(): Promise<void> {
    await stop();
    servers = await start();
  }

  function rotate({ account_id }: Tenant): Promise<unknown> {
    const { tokens, storage } = (servers[0] as Latchkey).server.core;
    return rotateKey(tokens, account_id, "ES256", { publication_lead: 0, longest_lifetime: 86_400 }, storage.now());
  }

  /** Time passes for everybody at once, not between two statements; everything else at the same time. */
  async function play(shops: readonly Shop[], account: Tenant, { commands }: Turn): Promise<number> {
    const passes = ({ kind }: Command) => kind === "expire" || kind === "rest";
    const carryOut = async (command: Command) => {
      if (command.kind !== "rotate") return (shops[command.person] as Shop).carryOut(command);
      await rotate(account);
      return 1;
    };
    await Promise.all(shops.map((shop) => shop.beginTurn()));
    const passed = await Promise.all(commands.filter(passes).map(carryOut));
    const done = await Promise.all(commands.filter((command) => !passes(command)).map(carryOut));
    for (const shop of shops) shop.endTurn();
    return [...passed, ...done].reduce((sum, steps) => sum + steps, 0);
  }

  /** One plan, in an account of its own. @throws what no order explains, with the smallest plan that shows it. */
  async function run(seed: number, restarts: boolean, patience = 120_000): Promise<number> {
    let taken = 0;
    const explained = fc.asyncProperty(plan, async (turns) => {
      const account = await createTenant(servers[0] as Latchkey, {
        settings: { typable_guess_limit: 1_000_000, spray_guess_limit: 1_000_000 },
      });
      const shops = await Promise.all(Array.from({ length: PEOPLE }, () => Shop.open(() => servers, account)));
      for (const turn of turns) {
        taken += await play(shops, account, turn);
        if (restarts && turn.after === "restart") await restart();
      }
    });
    const limits = { interruptAfterTimeLimit: patience, markInterruptAsFailure: true };
    await fc.assert(explained, { seed, numRuns: 1, endOnFailure: false, ...limits });
    return taken;
  }

  it.each(kept)("seed %i, which failed once", { timeout: 180_000 }, async (seed) => void (await run(seed, true)));

  it(`explains ${STEPS} random steps by some order of them`, { timeout: 240_000 + STEPS * 60 }, async () => {
    const first = Number(process.env.MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const began = performance.now();
    const seconds = () => Math.round((performance.now() - began) / 1000);
    let [steps, told] = [0, 0];
    for (let seed = first; steps < STEPS; seed++) {
      steps += await run(seed, true).catch((error: Error) => {
        if (!kept.includes(seed)) writeFileSync(SEEDS, `[${[...kept, seed].join(", ")}]\n`);
        report(engine, steps, seconds(), 1);
        throw new Error(`MODEL_SEED=${seed}, which seeds.json keeps now`, { cause: error });
      });
      if (STEPS >= LONG && seconds() >= told + 20) {
        told = seconds();
        console.log(`${engine}: ${steps} steps, ${Math.round(steps / told)} a second`);
      }
    }
    report(engine, steps, seconds(), 0);
    expect(steps).toBeGreaterThanOrEqual(STEPS);
  });

  it("notices within a minute a server that reads, compares and then writes", { timeout: 120_000 }, async () => {
    const mends = servers.map(({ server }) => forgetful(server.core.storage));
    const began = performance.now();
    let failure: unknown;
    for (let seed = 1; failure === undefined && performance.now() - began < 60_000; seed++)
      failure = await run(seed, false, 5_000).then(
        () => undefined,
        (error: Error) => error.cause,
      );
    for (const mend of mends) mend();
    expect(String(failure)).toContain("no order of these explains them");
    expect(performance.now() - began).toBeLessThan(60_000);
  });
});

function report(engine: string, steps: number, seconds: number, counterexamples: number): void {
  const { PROOF_OUT } = process.env;
  if (PROOF_OUT)
    appendFileSync(PROOF_OUT, `${JSON.stringify({ what: "model", engine, steps, seconds, counterexamples })}\n`);
}
