import { createHook } from "node:async_hooks";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { masterKeys } from "../../secrets/master-keys.ts";
import { openTokens } from "../tokens.ts";
import { signingKey } from "./find-key.ts";
import { rotateKey } from "./rotate-key.ts";

const MANY = 110;
const accountOf = (index: number) => `T${String(index).padStart(8, "0")}`;

describeOnBothEngines("first keys of many accounts at once", (engine) => {
  let test: TestStorage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    const about = { name: "x", settings: "{}", created_at: "", updated_at: "" };
    const accounts = Array.from({ length: MANY }, (_, index) => ({ account_id: accountOf(index), ...about }));
    await test.storage.write(({ db }) => db.insertInto("accounts").values(accounts).execute());
  });
  afterAll(() => test.close());

  it("are made one at a time, and who would wait for too long is told so", async () => {
    const tokens = openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)]));
    const making = new Set<number>();
    let most = 0;
    const hook = createHook({
      init(id, type) {
        if (type === "KEYPAIRGENREQUEST") most = Math.max(most, making.add(id).size);
      },
      before: (id) => void making.delete(id),
    }).enable();
    const now = test.storage.now();
    const rotation = { publication_lead: 86_400 };
    const asked = Array.from({ length: MANY }, (_, index) =>
      index % 2 === 0
        ? signingKey(tokens, accountOf(index), "RS256", now)
        : rotateKey(tokens, accountOf(index), "RS256", rotation, now),
    );
    const answers = await Promise.allSettled(asked);
    hook.disable();
    expect(most).toBe(1);
    const refused = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
    expect(refused.length).toBeGreaterThanOrEqual(MANY - 100);
    for (const reason of refused) expect(reason).toMatchObject({ code: "temporarily_unavailable" });
    expect((await signingKey(tokens, accountOf(MANY - 1), "RS256", now)).alg).toBe("RS256");
  }, 60_000);
});
