/** `latchkey keys reseal` says what hangs on an older master key, and until when: what is good for nothing any more does not. */
import { expect, it } from "vitest";
import { resealAll } from "../../src/cli/reseal.ts";
import { readConfig } from "../../src/config.ts";
import { openCore } from "../../src/core.ts";
import { instant } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { createTenant, MASTER_KEY, startLatchkey } from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";

const NEW_KEY = Buffer.alloc(32, 9).toString("base64");
const DAY = 86_400_000;

describeOnBothEngines("what hangs on an older master key", (engine) => {
  it("are logins that can still be refreshed, until they are idle for too long or end", async () => {
    const latchkey = await startLatchkey(engine);
    const tenant = await createTenant(latchkey);
    const { account_id } = tenant;
    const people = [];
    for (let n = 0; n < 5; n++) {
      const { id, email } = await addPerson(latchkey, account_id);
      const login = { grant_type: "password", username: email, password: PASSWORD, audience: tenant.audience };
      expect((await token(tenant, login)).status).toBe(200);
      people.push(id);
    }
    const [idle = "", living = "", ending = "", over = "", gone = ""] = people;
    const { now, write } = latchkey.server.core.storage;
    const at = (days: number) => instant(now() + days * DAY);
    await write(async ({ db }) => {
      const times: readonly (readonly [string, number, number])[] = [
        [idle, -1, 90],
        [living, 20, 90],
        [ending, 20, 10],
        [over, 20, -1],
        [gone, 30, 90],
      ];
      for (const [user_id, idles, ends] of times)
        await db
          .updateTable("refresh_families")
          .set({ idle_expires_at: at(idles), expires_at: at(ends) })
          .where("account_id", "=", account_id)
          .where("user_id", "=", user_id)
          .execute();
      await db
        .updateTable("users")
        .set({ deleted_at: at(0) })
        .where("id", "=", gone)
        .execute();
    });
    const env = { DATABASE_URL: latchkey.database.database_url, MASTER_KEY: `${NEW_KEY},${MASTER_KEY}` };
    const core = await openCore(readConfig(env), { exclusive: false });
    const hanging = async () => (await resealAll(core)).hanging.refresh_families;
    const day = (until: string | null | undefined) => until && Math.round((Date.parse(until) - now()) / DAY);
    const before = await hanging();
    const left = await hangingWithout(living);
    expect([before?.count, day(before?.until)]).toEqual([2, 20]);
    expect([left?.count, day(left?.until)]).toEqual([1, 10]);
    expect(await hangingWithout(ending)).toEqual({ count: 0, until: null });
    await core.close();
    await latchkey.close();

    async function hangingWithout(user_id: string) {
      await write(({ db }) => db.deleteFrom("refresh_families").where("user_id", "=", user_id).execute());
      return hanging();
    }
  });
});
