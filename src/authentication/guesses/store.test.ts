import { setTimeout as sleep } from "node:timers/promises";
import type { KyselyPlugin } from "kysely";
import { expect, it } from "vitest";
import { openTestStorage } from "../../../test/support/engines.ts";
import { unclosedBudgetSweep } from "../../limits/limits.ts";
import { openStorage } from "../../storage/open.ts";
import { instant } from "../../storage/storage.ts";
import { upsertGuess } from "./store.ts";

const DAY = 86_400_000;

it("counts the guess of somebody whose old ones are swept at that moment, at another process", async () => {
  const { storage, database_url, close } = await openTestStorage("postgres");
  const elsewhere = await openStorage({ database_url });
  const now = storage.now();
  const guess = { account_id: "T00000001", person: "somebody", limit: 10 };
  const count = (at: number, plugin?: KyselyPlugin) =>
    storage.write(({ db }) =>
      upsertGuess(plugin ? db.withPlugin(plugin) : db, { ...guess, now: at, ends: [instant(at + 3_600_000)] }),
    );
  await count(now - 8 * DAY);
  const swept: Promise<number>[] = [];
  const sweptBetween: KyselyPlugin = {
    transformQuery: ({ node }) => node,
    async transformResult({ result }) {
      if (swept.length === 0) {
        swept.push(unclosedBudgetSweep.sweep(elsewhere, 10));
        await Promise.race([swept[0], sleep(500)]);
      }
      return result;
    },
  };
  // The one of before counts on.
  expect(await count(now, sweptBetween)).toMatchObject({ count: 2 });
  expect(await swept[0]).toBe(0);
  expect(await count(now)).toMatchObject({ count: 3 });
  await elsewhere.close();
  await close();
});
