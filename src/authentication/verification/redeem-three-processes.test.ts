import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { insertCode, insertLogin, type Login, redeemInput, wrongGuesses } from "../../../test/support/verification.ts";
import { reveal } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { openStorage } from "../../storage/open.ts";
import type { Storage } from "../../storage/storage.ts";
import { wasCompared } from "./guess-window.ts";
import { type RedeemInput, redeemStatement } from "./redeem-statement.ts";

function redeem(storage: Storage, input: RedeemInput) {
  return storage.hot(redeemStatement(input), input);
}

describe("redeem_code over three processes' pools on one PostgreSQL", () => {
  let test: TestStorage;
  let pools: Storage[];
  beforeAll(async () => {
    test = await openTestStorage("postgres");
    pools = [test.storage];
    for (let n = 0; n < 2; n++) pools.push(await openStorage({ database_url: test.database_url }));
  });
  afterAll(async () => {
    for (const pool of pools.slice(1)) await pool.close();
    await test.close();
  });
  const pool = (n: number) => pools[n % 3] as Storage;

  it("lets exactly one of 60 redemptions win", async () => {
    const login = await insertLogin(pool(0));
    for (const kind of ["typable", "numeric"] as const) {
      const { code } = await insertCode(pool(0), login, { format: kind });
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, n) => redeem(pool(n), redeemInput(pool(n), login, kind, code))),
      );
      expect(answers.filter(({ won }) => won)).toHaveLength(1);
    }
  });

  it("compares five of 200 wrong guesses, and no more than ten whatever codes and clients there are", async () => {
    const victim = await insertLogin(pool(0));
    const { code } = await insertCode(pool(0), victim, { format: "numeric" });
    const answers = await Promise.all(
      wrongGuesses(reveal(code), 200).map((guess, n) =>
        redeem(pool(n), redeemInput(pool(n), victim, "numeric", guess)),
      ),
    );
    expect(answers.filter(({ wrong }) => wrong)).toHaveLength(5);
    expect(answers.filter(({ exhausted_until }) => exhausted_until !== null)).toHaveLength(195);
    const logins = await Promise.all(
      Array.from({ length: 6 }, () => insertLogin(pool(0), { user_id: victim.user_id })),
    );
    for (const login of logins) await insertCode(pool(0), login, { format: "numeric" });
    const more = await Promise.all(
      wrongGuesses("", 120).map((guess, n) =>
        redeem(pool(n), redeemInput(pool(n), logins[n % 6] as Login, "numeric", guess)),
      ),
    );
    const compared = more.filter(({ wrong, window }) => wrong && window && wasCompared(window, { wrong, limit: 10 }));
    expect(compared).toHaveLength(5);
  });

  it("never deadlocks, and never lets two siblings win, under random parallel load", async () => {
    const people = Array.from({ length: 4 }, () => uuidv7(Date.now()));
    const clients = await Promise.all(people.map((user_id) => insertLogin(pool(0), { user_id })));
    const logins: Login[] = people.flatMap((user_id) => clients.map((client) => ({ ...client, user_id })));
    const wins = new Map<string, number>();
    for (let round = 0; round < 6; round++) {
      const attempts: { login: Login; input: RedeemInput }[] = [];
      for (const login of logins) {
        for (const kind of ["typable", "numeric", "typable"] as const) {
          const { code } = await insertCode(pool(0), login, { format: kind });
          for (let n = 0; n < 3; n++) attempts.push({ login, input: redeemInput(pool(0), login, kind, code) });
        }
        attempts.push({ login, input: redeemInput(pool(0), login, "numeric", "000000") });
      }
      attempts.sort(() => Math.random() - 0.5);
      const answers = await Promise.all(attempts.map(({ input }, n) => redeem(pool(n), input)));
      wins.clear();
      answers.forEach(({ won }, n) => {
        const { login } = attempts[n] as { login: Login };
        const key = `${login.client_id} ${login.user_id}`;
        if (won) wins.set(key, (wins.get(key) ?? 0) + 1);
      });
      expect([...wins.values()].every((count) => count === 1)).toBe(true);
      expect(wins.size).toBe(logins.length);
    }
    const { rows } = await deadlocks();
    expect(rows).toEqual([{ deadlocks: 0 }]);
  });

  async function deadlocks() {
    const { default: pg } = await import("pg");
    const client = new pg.Client({ connectionString: test.database_url });
    await client.connect();
    // Statistics of a session are published when it has been idle for a moment.
    await client.query("select pg_sleep(1.2)");
    const result = await client.query("select deadlocks::int from pg_stat_database where datname = current_database()");
    await client.end();
    return result;
  }
});
