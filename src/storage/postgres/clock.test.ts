import { afterEach, expect, it, vi } from "vitest";
import { createTestDatabase } from "../../../test/support/engines.ts";
import { openPostgres } from "./open-postgres.ts";

const MINUTES = 60_000;
afterEach(() => void vi.useRealTimers());

it("follows PostgreSQL, however far the machine's clock is set", async () => {
  const database = await createTestDatabase("postgres");
  const storage = await openPostgres({ url: database.database_url, strict: true });
  const began = performance.now() - Date.now();
  const off = () => Math.abs(storage.now() - (performance.now() - began));
  expect(off()).toBeLessThan(MINUTES);
  vi.useFakeTimers({ toFake: ["Date"] });
  for (const minutes of [10, -10]) {
    vi.setSystemTime(performance.now() - began + minutes * MINUTES);
    expect(off(), `at once, ${minutes} min`).toBeLessThan(MINUTES);
    // By then it has measured anew.
    await storage.ping();
    await storage.ping();
    expect(off(), `afterwards, ${minutes} min`).toBeLessThan(MINUTES);
  }
  await storage.close();
  await database.drop();
});
