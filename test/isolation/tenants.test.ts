/**
 * No tenant can touch another. Every operation that takes a bearer is tried: with a foreign bearer, with an own bearer
 * and a foreign id wherever it takes one, and with the token of a person. Whatever comes of it, every row of the other
 * tenant is as before. An operation or page that is missing here and among those of the standards fails the last test.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  authorize,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  newOwnerId,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { ATTEMPTS, type Attempt, type Ids, idsOf, invented, OWN_ATTEMPTS } from "../support/operations.ts";
import { keepRows } from "../support/rows.ts";
import { OPEN, STANDARD_ATTEMPTS } from "../support/standard-attempts.ts";
import { visible } from "../support/visible.ts";

describeOnBothEngines("tenants", (engine) => {
  let latchkey: Latchkey;
  let mine: Tenant;
  let theirs: Tenant;
  let foreign: Ids;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    mine = await createTenant(latchkey, { account_id: newOwnerId() });
    theirs = await createTenant(latchkey, { account_id: newOwnerId() });
    foreign = await idsOf(latchkey, theirs);
  });
  afterAll(() => latchkey.close());

  const send = (base: string, token: string, { method, path, options }: Attempt, ids: Ids) =>
    call(`${base}${path(ids)}`, { method, token, ...options?.(ids) });

  const keepTheirs = () => keepRows(latchkey, [theirs]);

  it.each(ATTEMPTS)(
    "$operation answers a foreign bearer 401, the same for existing and invented ids",
    async (attempt) => {
      const untouched = await keepTheirs();
      const existing = await send(theirs.base, mine.token, attempt, foreign);
      const unknown = await send(theirs.base, mine.token, attempt, invented);
      const nobody = await send(`${latchkey.url}/v1/accounts/T99999999`, mine.token, attempt, foreign);
      expect(existing.status).toBe(401);
      expect(existing.headers.get("www-authenticate")).toContain('error="invalid_token"');
      expect(visible(unknown)).toEqual(visible(existing));
      expect(visible(nobody)).toEqual(visible(existing));
      await untouched();
    },
  );

  it.each(OWN_ATTEMPTS)("$operation takes no client's bearer: it names nobody but whoever asks", async (attempt) => {
    const untouched = await keepTheirs();
    const refused = await send(latchkey.url, mine.token, attempt, foreign);
    expect([refused.status, refused.body.error.code]).toEqual([403, "insufficient_scope"]);
    await untouched();
  });

  it.each(ATTEMPTS.filter(({ idless }) => !idless))(
    "$operation answers a foreign id like an invented one",
    async (attempt) => {
      const untouched = await keepTheirs();
      const existing = await send(mine.base, mine.token, attempt, foreign);
      const unknown = await send(mine.base, mine.token, attempt, invented);
      if (attempt.uniform)
        expect([unknown.status, unknown.text.length]).toEqual([existing.status, existing.text.length]);
      else expect(visible(unknown)).toEqual(visible(existing));
      if (attempt.uniform) expect(existing.status).toBeLessThan(300);
      else if (attempt.succeeds) expect([existing.status, existing.body]).toEqual([200, []]);
      else expect([400, 403, 404]).toContain(existing.status);
      await untouched();
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

  /** Every address below /v1 with each of its methods, as the server itself tells them. */
  const routesOf = async () => {
    const path: string[] = [];
    const tree = latchkey.server.app.printRoutes({ commonPrefix: false }).split("\n");
    const addresses = tree.flatMap((line) => {
      const [, indent = "", part] = /^([│ ]*)[├└]── (\S+)/.exec(line) ?? [];
      if (part === undefined) return [];
      path.splice(indent.length / 4, path.length, part);
      return path.join("").startsWith("/v1/") ? [path.join("")] : [];
    });
    const routes = addresses.map(async (address) => {
      const here = address.replace(":oid", theirs.account_id).replaceAll(/:[\w|:]+/g, "x");
      const { headers } = await call(`${latchkey.url}${here}`, { method: "OPTIONS" });
      return (headers.get("allow") ?? "none").split(", ").map((method) => `${method} ${unnamed(address)}`);
    });
    return (await Promise.all(routes)).flat();
  };
  const unnamed = (address: string) => address.replaceAll(/\{\w+\}|:[\w|:]+/g, ":");

  it("is tried on every operation and page", async () => {
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as {
      paths: Record<string, Record<string, { operationId: string }>>;
    };
    const documented = new Set(
      Object.entries(paths).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${unnamed(path)}`),
      ),
    );
    const operations = Object.values(paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    const others = (await routesOf()).filter((route) => !documented.has(route) && !/^(HEAD|OPTIONS) /.test(route));
    const pages = others.map((route) => route.replace("/v1/accounts/:", ""));
    expect([operations.length > 70, pages.length > 10]).toEqual([true, true]);
    const tried = [...ATTEMPTS, ...OWN_ATTEMPTS, ...STANDARD_ATTEMPTS].map(({ operation }) => operation);
    expect([...new Set([...tried, ...OPEN])].toSorted()).toEqual([...operations, ...pages].toSorted());
  });
});
