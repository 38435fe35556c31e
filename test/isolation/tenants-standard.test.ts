/**
 * No tenant can touch another by the standards' operations, the pages or auth/token: neither with its own client, token
 * or browser there, nor with what the other one holds here. Whatever comes of it, every row of the other tenant is as
 * before. tenants.test.ts sees to it that none is missing.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { belongingsOf, inventedBelongings, openProvider, textsOf } from "../support/belongings.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  createTenant,
  type Latchkey,
  newOwnerId,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import type { Receiver } from "../support/receiver.ts";
import { keepRows, rowsOf } from "../support/rows.ts";
import { attemptAt, type Belongings, STANDARD_ATTEMPTS } from "../support/standard-attempts.ts";
import { visible } from "../support/visible.ts";

describeOnBothEngines("tenants on the standard surface", (engine) => {
  let latchkey: Latchkey;
  let mine: Tenant;
  let theirs: Tenant;
  let provider: Receiver;
  let own: Belongings;
  let other: Belongings;
  beforeAll(async () => {
    provider = await openProvider();
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    mine = await createTenant(latchkey, { account_id: newOwnerId() });
    theirs = await createTenant(latchkey, { account_id: newOwnerId() });
    own = await belongingsOf(latchkey, mine, provider.url);
    other = await belongingsOf(latchkey, theirs, provider.url);
  });
  afterAll(async () => {
    await latchkey.close();
    await provider.close();
  });

  /** What a reply shows, but for what the request said itself, and what is new in every page. */
  const seen = (reply: Reply, ...said: Belongings[]) => {
    const { status, headers, text } = visible(reply);
    const lines = headers.filter(([name]) => name !== "content-length").map((pair) => pair.join(": "));
    const whole = [status, ...lines, text].join("\n");
    const plain = textsOf(said).reduce((left, one) => left.replaceAll(one, "…"), whole);
    return plain.replaceAll(/nonce[-=]"?[\w+/=]+/g, "…").replaceAll(/Reference: [\w-]+/g, "…");
  };

  it.each(STANDARD_ATTEMPTS.filter(({ idless }) => !idless))(
    "$operation answers a foreign thing like an invented one: $what",
    async (attempt) => {
      const untouched = await keepRows(latchkey, [theirs]);
      const existing = await attemptAt(mine, attempt, own, other);
      const unknown = await attemptAt(mine, attempt, own, inventedBelongings);
      const all = [own, other, inventedBelongings];
      expect(seen(existing, ...all)).toBe(seen(unknown, ...all));
      await untouched();
    },
  );

  it.each(STANDARD_ATTEMPTS)(
    "$operation answers a foreign caller or browser like an invented one: $what",
    async (attempt) => {
      const untouched = await keepRows(latchkey, [theirs], attempt.counted ? ["budgets"] : []);
      const foreigner = await attemptAt(theirs, attempt, own, other);
      const nobody = await attemptAt(theirs, attempt, inventedBelongings, other);
      const all = [own, other, inventedBelongings];
      expect(seen(foreigner, ...all)).toBe(seen(nobody, ...all));
      await untouched();
    },
  );

  it("is tried with what does something in the right hands", async () => {
    const right = await createTenant(latchkey, { account_id: newOwnerId() });
    const belongings = await belongingsOf(latchkey, right, provider.url);
    const all = [belongings, inventedBelongings];
    const idle: string[] = [];
    for (const attempt of STANDARD_ATTEMPTS.filter(({ uniform }) => !uniform)) {
      const done = await attemptAt(right, attempt, belongings, belongings);
      const nothing = await attemptAt(right, attempt, inventedBelongings, inventedBelongings);
      const refused = done.status >= 400 && !done.text.includes("authorization_pending");
      if (refused || seen(done, ...all) === seen(nothing, ...all))
        idle.push(`${attempt.operation}, ${attempt.what}: ${done.status} ${done.text.slice(0, 200)}`);
    }
    expect(idle).toEqual([]);
    const rows = Object.entries(await rowsOf(latchkey, theirs)).filter(([, { length }]) => length > 0);
    const kept = [
      "consents",
      "device_codes",
      "factors",
      "outbox",
      "passwords",
      "refresh_families",
      "sessions",
      "users",
    ];
    expect(rows.map(([table]) => table)).toEqual(expect.arrayContaining([...kept, "verification_codes"]));
  });
});
