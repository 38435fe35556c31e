import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { masterKeys } from "../secrets/master-keys.ts";
import { sessionIn, sessionOfPairwise, subjectIn, userOfPairwise } from "./pairwise.ts";
import { openTokens } from "./tokens.ts";

const account_id = "T00000001";

describeOnBothEngines("a session", (engine) => {
  let test: TestStorage;
  /** As another process would, which remembers nothing. */
  const open = () => openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)]));
  beforeAll(async () => {
    test = await openTestStorage(engine);
  });
  afterAll(() => test.close());

  it("has another name in each sector, and another than a person of the same id", async () => {
    const [id, sector] = ["01a2145e-b02f-7ef9-ac93-1d4fd7179c55", "a.example"];
    const named = await sessionIn(open(), account_id, sector, id);
    expect(named).toMatch(/^[\w-]{22}$/);
    const others = [
      sessionIn(open(), account_id, "b.example", id),
      sessionIn(open(), "T00000002", sector, id),
      subjectIn(open(), account_id, sector, id),
    ];
    expect(await Promise.all(others)).not.toContain(named);
    expect(await sessionOfPairwise(open(), account_id, sector, named)).toBe(id);
    expect(await userOfPairwise(open(), account_id, sector, named)).not.toBe(id);
    expect(await sessionOfPairwise(open(), account_id, sector, "AAAA")).toBeUndefined();
    expect(await sessionIn(open(), account_id, undefined, id), "where there is no sector").toBe(id);
  });
});
