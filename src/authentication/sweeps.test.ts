import { expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage } from "../../test/support/engines.ts";
import { type Instant, instant } from "../storage/storage.ts";
import { sweeps } from "./sweeps.ts";
import { knownUntil, useStatement } from "./used-tokens.ts";
import { insertLoginSession } from "./verification/store.ts";

const HOUR = 3_600_000;

describeOnBothEngines("used tokens", (engine) => {
  it("outlast a clock that jumps ahead for a while, where they are ours; what clients sign goes within minutes", async () => {
    const { storage, close } = await openTestStorage(engine);
    const now = storage.now();
    const use = (id: string, expires_at: Instant) =>
      storage.hot(useStatement, { account_id: "T00000001", id, expires_at });
    await use("jti", knownUntil(now + 60_000));
    await use("dpop jkt jti", instant(now + 60_000));
    const used = sweeps.find(({ name }) => name === "used tokens");
    const sweptAfter = (ms: number) => used?.sweep({ ...storage, now: () => now + ms }, 10);
    expect(await sweptAfter(5 * 60_000)).toBe(0);
    expect(await sweptAfter(7 * 60_000)).toBe(1);
    expect(await sweptAfter(2 * HOUR)).toBe(0);
    expect(await sweptAfter(26 * HOUR)).toBe(1);
    await close();
  });
});

describeOnBothEngines("login sessions", (engine) => {
  it("are kept for as long as their codes, by which a late one is told", async () => {
    const { storage, close } = await openTestStorage(engine);
    const now = storage.now();
    const about = { account_id: "T00000001", id: "s", client_id: "c", audience: "a", person: "x:p", user_id: null };
    const sent = { identifier: "i", email: null, phone_number: null, code_id: "c" };
    const times = { created_at: instant(now), expires_at: instant(now + 60_000) };
    await storage.write((tx) => insertLoginSession(tx.db, { ...about, ...sent, ...times }));
    const sessions = sweeps.find(({ name }) => name === "login sessions");
    const sweptAfter = (ms: number) => sessions?.sweep({ ...storage, now: () => now + ms }, 10);
    expect(await sweptAfter(24 * HOUR)).toBe(0);
    expect(await sweptAfter(25 * HOUR)).toBe(1);
    await close();
  });
});
