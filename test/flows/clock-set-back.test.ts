/** The clock of a machine that was ahead is set back: what it dated with the time before is good all the same. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { noteLoginsEnded } from "../../src/directory/users/logins-ended.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { askForCode, call, createTenant, inbox, type Latchkey, startLatchkey, tokenOf } from "../support/latchkey.ts";
import { letPass } from "../support/time.ts";

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

  it("keeps nobody waiting for a code that was sent at a time to come", async () => {
    const tenant = await createTenant(latchkey);
    const sent = async () => {
      expect((await askForCode(tenant)).status).toBe(204);
      return (await inbox(tenant)).length;
    };
    expect([await sent(), await sent()]).toEqual([1, 1]);
    await letPass(latchkey, "verification_codes", tenant.account_id, -3_600, ["last_sent_at"]);
    expect(await sent()).toBe(2);
  });

  it("leaves ended what ended at a time to come, also where it ends again", async () => {
    const { account_id, user } = await createTenant(latchkey);
    const { storage } = latchkey.server.core;
    const now = storage.now();
    const end = async (at: number) => {
      const whose = { account_id, user_id: user.id, kept: undefined };
      await storage.write((tx) => noteLoginsEnded(tx, whose, new Date(at).toISOString()));
      const row = storage.read.selectFrom("users").select("logins_ended_at").where("id", "=", user.id);
      return Date.parse((await row.executeTakeFirstOrThrow()).logins_ended_at ?? "") - now;
    };
    expect([await end(now), await end(now + 3_600_000), await end(now + 1)]).toEqual([0, 3_600_000, 3_600_000]);
  });
});
