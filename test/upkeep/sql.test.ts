/** On a request path nothing runs that PostgreSQL-compatible distributed engines lack. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  askForCode,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  receiveCode,
  startLatchkey,
} from "../support/latchkey.ts";
import { ATTEMPTS, idsOf } from "../support/operations.ts";

const LACKING: readonly [string, RegExp][] = [
  ["advisory locks", /advisory/i],
  ["LISTEN and NOTIFY", /\b(listen|notify)\b/i],
  ["temporary tables", /\btemp(orary)?\s+table\b/i],
  ["sequences", /\b(nextval|serial|generated always)\b/i],
  ["triggers and rules", /\bcreate\s+(trigger|rule)\b/i],
  ["table locks", /\block\s+table\b/i],
  ["cursors", /\bdeclare\b[^;]*\bcursor\b/i],
  ["schema changes", /^\s*(create|alter|drop)\b/i],
  ["deferred constraints", /\bset\s+constraints\b/i],
];

describe("what runs on PostgreSQL for a request", () => {
  const texts = new Set<string>();
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey("postgres", { onQuery: (sql) => void texts.add(sql) });
  });
  afterAll(() => latchkey.close());

  it("is what distributed engines know", async () => {
    for (const { method, path, options } of ATTEMPTS) {
      const tenant = await createTenant(latchkey);
      const ids = await idsOf(latchkey, tenant);
      await call(`${tenant.base}${path(ids)}`, { method, token: tenant.token, ...options?.(ids) });
    }
    const numeric = await createTenant(latchkey, { client: { code_format: "numeric" } });
    const ident = { ident_type: "email", ident: numeric.user.email };
    await askForCode(numeric);
    await authorize(numeric, { verification_code: "000000", ...ident });
    await authorize(numeric, { verification_code: await receiveCode(numeric), ...ident });
    const coded = await authorize(numeric, {
      verification_code: await mintCode(numeric, { format: "link" }),
      response_type: "code",
      scope: "openid",
    });
    const code = new URL(coded.headers.get("location") ?? "").searchParams.get("code") ?? "";
    await call(`${numeric.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(numeric.client) },
      form: { grant_type: "authorization_code", code, redirect_uri: CALLBACK },
    });
    expect(texts.size).toBeGreaterThan(30);
    const found = [...texts].flatMap((text) =>
      LACKING.filter(([, pattern]) => pattern.test(text)).map(([what]) => `${what}: ${text.slice(0, 200)}`),
    );
    expect(found).toEqual([]);
  });

  it("names the account wherever it reads or changes a tenant's rows", () => {
    const tables =
      /\b(from|join|update|into)\s+"?(clients|grants|users|verification_codes|login_sessions|signing_keys)"?\b/i;
    const sweeps = /\blimit\b|expires_at" </i;
    const without = [...texts].filter((text) => tables.test(text) && !/account_id/.test(text) && !sweeps.test(text));
    expect(without).toEqual([]);
  });
});
