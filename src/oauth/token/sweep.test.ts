import { expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage } from "../../../test/support/engines.ts";
import { instant } from "../../storage/storage.ts";
import { redeemedSweep } from "./sweep.ts";

const HOUR = 3_600_000;

describeOnBothEngines("redeemed authorization codes", (engine) => {
  it("outlast a clock that jumps ahead for a while", async () => {
    const { storage, close } = await openTestStorage(engine);
    const now = storage.now();
    const row = {
      account_id: "T00000001",
      id: "c",
      sid: "s",
      redeemed_at: instant(now),
      expires_at: instant(now + HOUR),
    };
    await storage.write((tx) => tx.db.insertInto("redeemed_authorization_codes").values(row).execute());
    const sweptAfter = (ms: number) => redeemedSweep.sweep({ ...storage, now: () => now + ms }, 10);
    expect(await sweptAfter(2 * HOUR)).toBe(0);
    expect(await sweptAfter(26 * HOUR)).toBe(1);
    await close();
  });
});
