/** The clock of a machine that was ahead is set back: what it dated with the time before is good all the same. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, type Latchkey, startLatchkey, tokenOf } from "../support/latchkey.ts";

describeOnBothEngines("a clock that is set back", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  it("leaves an account its signing keys, though none of them is to sign yet", async () => {
    const { account_id, client, base } = await createTenant(latchkey);
    const { storage, tokens } = latchkey.server.core;
    const ahead = new Date(storage.now() + 7_200_000).toISOString();
    const keys = () =>
      storage.read.selectFrom("signing_keys").select("kid").where("account_id", "=", account_id).execute();
    await tokenOf(latchkey, account_id, client);
    const before = await keys();
    await storage.write(async ({ db }) => {
      await db.updateTable("signing_keys").set({ active_at: ahead }).where("account_id", "=", account_id).execute();
    });
    tokens.keys.forget(account_id);
    const token = await tokenOf(latchkey, account_id, client);
    expect((await call(`${base}/auth/clients`, { token })).status).toBe(200);
    expect(await keys()).toEqual(before);
  });
});
