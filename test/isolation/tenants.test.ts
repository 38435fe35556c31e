/**
 * No tenant can touch another. Every operation that takes a bearer is tried: with a foreign bearer, with an own bearer and a
 * foreign id wherever it takes one, and with the token of a person. An operation that is missing here fails the last test.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  authorize,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { ATTEMPTS, type Attempt, type Ids, idsOf, invented, OWN_ATTEMPTS } from "../support/operations.ts";

function visible({ status, headers, text }: Reply) {
  const shown = [...headers].filter(([name]) => !["date", "request-id", "login-session-id"].includes(name));
  // A challenge names the account that the caller named.
  const alike = shown.map(([name, value]) => [name, value.replace(/\/accounts\/[PT]\d+"/, '/accounts/…"')]);
  return { status, headers: alike, text };
}

describeOnBothEngines("tenants", (engine) => {
  let latchkey: Latchkey;
  let mine: Tenant;
  let theirs: Tenant;
  let foreign: Ids;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    mine = await createTenant(latchkey);
    theirs = await createTenant(latchkey);
    foreign = await idsOf(latchkey, theirs);
  });
  afterAll(() => latchkey.close());

  const send = (base: string, token: string, { method, path, options }: Attempt, ids: Ids) =>
    call(`${base}${path(ids)}`, { method, token, ...options?.(ids) });

  const state = async () => {
    const replies = await Promise.all([
      call(`${theirs.base}/auth/roles`, { token: theirs.token }),
      call(`${theirs.base}/management/users`, { token: theirs.token }),
      call(`${theirs.base}/auth/clients`, { token: theirs.token }),
      call(`${theirs.base}/auth/client-grants`, { token: theirs.token }),
      call(`${theirs.base}/customers/users/${theirs.user.id}`, { token: theirs.token }),
      call(`${theirs.base}/auth/settings`, { token: theirs.token }),
    ]);
    return JSON.stringify(replies.map(({ body }) => body)).replaceAll(/"last_used_at":"[^"]*"/g, "");
  };

  it.each(ATTEMPTS)(
    "$operation answers a foreign bearer 401, the same for existing and invented ids",
    async (attempt) => {
      const before = await state();
      const existing = await send(theirs.base, mine.token, attempt, foreign);
      const unknown = await send(theirs.base, mine.token, attempt, invented);
      const nobody = await send(`${latchkey.url}/v1/accounts/T99999999`, mine.token, attempt, foreign);
      expect(existing.status).toBe(401);
      expect(existing.headers.get("www-authenticate")).toContain('error="invalid_token"');
      expect(visible(unknown)).toEqual(visible(existing));
      expect(visible(nobody)).toEqual(visible(existing));
      expect(await state()).toBe(before);
    },
  );

  it.each(ATTEMPTS.filter(({ idless }) => !idless))(
    "$operation answers a foreign id like an invented one",
    async (attempt) => {
      const before = await state();
      const existing = await send(mine.base, mine.token, attempt, foreign);
      const unknown = await send(mine.base, mine.token, attempt, invented);
      if (attempt.uniform)
        expect([unknown.status, unknown.text.length]).toEqual([existing.status, existing.text.length]);
      else expect(visible(unknown)).toEqual(visible(existing));
      if (attempt.uniform) expect(existing.status).toBeLessThan(300);
      else if (attempt.succeeds) expect([existing.status, existing.body]).toEqual([200, []]);
      else expect([400, 403, 404]).toContain(existing.status);
      expect(await state()).toBe(before);
    },
  );

  it("lets a code of one account do nothing in another", async () => {
    const code = await mintCode(theirs);
    const stolen = await authorize(mine, { verification_code: code });
    const made_up = await authorize(mine, { verification_code: invented.code });
    expect(visible(stolen)).toEqual(visible(made_up));
    expect(stolen.body.error.code).toBe("invalid_verification_code");
    expect((await authorize(theirs, { verification_code: code })).status).toBe(302);
  });

  it("refuses a person's own token with 403 at every management route, though their client holds admin:accounts", async () => {
    const reply = await authorize(mine, {
      verification_code: await mintCode(mine, { audience: mine.issuer }),
      audience: mine.issuer,
      response_type: "token",
    });
    expect(reply.status).toBe(302);
    const token = new URLSearchParams(new URL(reply.headers.get("location") ?? "").hash.slice(1)).get("access_token");
    const own = await idsOf(latchkey, mine);
    for (const attempt of ATTEMPTS.filter(({ person }) => !person)) {
      const answer = await send(mine.base, token ?? "", attempt, own);
      const expected = attempt.operation === "aid_auths_oauth_authorize_post" ? 401 : 403;
      expect(answer.status, attempt.operation).toBe(expected);
      if (attempt.method !== "HEAD")
        expect(answer.body.error.code).toBe(expected === 401 ? "invalid_token" : "insufficient_scope");
    }
    expect((await call(`${mine.base}/auth/clients/${own.client}`, { token: mine.token })).status).toBe(200);
  });

  it("is tried on every operation that takes a bearer", async () => {
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as {
      paths: Record<string, Record<string, { operationId: string; security: object[] }>>;
    };
    const operations = Object.values(paths)
      .flatMap((methods) => Object.values(methods))
      .filter(({ security }) => security.length > 0 && security.every((scheme) => "JWT" in scheme))
      // Those of the standards have attempts of their own.
      .filter(({ operationId }) => !operationId.startsWith("oauth_"))
      .map(({ operationId }) => operationId);
    expect(operations.length).toBeGreaterThan(15);
    expect([...ATTEMPTS, ...OWN_ATTEMPTS].map(({ operation }) => operation).toSorted()).toEqual(operations.toSorted());
  });
});
