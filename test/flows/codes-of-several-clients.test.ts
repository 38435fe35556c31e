/** Who waits for numeric codes of several clients enters the right one of each, and no other is guessed at by it. */
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  call,
  createTenant,
  type Latchkey,
  receiveCode,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { wrongGuesses } from "../support/verification.ts";

describeOnBothEngines("auth/token, for numeric codes of several clients", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: TestClient;
  let app: TestClient;
  let business: TestClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const waiting = async (settings = {}) => {
      const client = await addClient(latchkey, tenant.account_id, { code_format: "numeric", ...settings });
      await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"], "authorization_code");
      return client;
    };
    web = await waiting();
    app = await waiting();
    await addGrant(latchkey, tenant.account_id, app, tenant.issuer, ["write:accounts:/auth/users/no-mfa"]);
    business = await waiting({ user_type: "company" });
  });
  afterAll(() => latchkey.close());

  const enter = (email: string, verification_code: string, bearer?: string) => {
    const about = { grant_type: "authorization_code", ident_type: "email", ident: email, audience: tenant.audience };
    return token(tenant, { ...about, verification_code }, bearer);
  };
  const guesses = async (subject: string, budget = "numeric_guess") => {
    const { read } = latchkey.server.core.storage;
    const found = read.selectFrom("budgets").select("count").where("account_id", "=", tenant.account_id);
    const row = await found.where("budget", "=", budget).where("subject", "=", subject).executeTakeFirst();
    return Number(row?.count ?? 0);
  };

  it("finds the client by the code, in any order, without a guess", async () => {
    for (const first of ["older", "newer"]) {
      const { id, email } = await addUser(latchkey, tenant.account_id);
      const older = await receiveCode(tenant, { client: web, email });
      const newer = await receiveCode(tenant, { client: app, email });
      expect(older).not.toBe(newer);
      const codes = first === "older" ? [older, newer] : [newer, older];
      for (const one of codes) {
        const reply = await enter(email, one);
        expect(reply.status, `${first} ${reply.text}`).toBe(200);
      }
      expect(await guesses(id), first).toBe(0);
    }
  });

  it("finds it among clients of different types of people", async () => {
    const { email } = await addUser(latchkey, tenant.account_id);
    await addUser(latchkey, tenant.account_id, { email, type: "company" });
    const theirs = await receiveCode(tenant, { client: business, email });
    const own = await receiveCode(tenant, { client: web, email });
    expect(theirs).not.toBe(own);
    for (const one of [theirs, own]) expect((await enter(email, one)).status).toBe(200);
  });

  it("counts a wrong one once, and finds no code of a client that the caller may not act for", async () => {
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const older = await receiveCode(tenant, { client: web, email });
    const newer = await receiveCode(tenant, { client: app, email });
    const [wrong = ""] = wrongGuesses(older, 3).filter((one) => one !== newer);
    expect((await enter(email, wrong)).body.error.code).toBe("invalid_verification_code");
    expect(await guesses(id)).toBe(1);
    const bearer = await tokenOf(latchkey, tenant.account_id, app);
    expect((await enter(email, older, bearer)).body.error.code).toBe("invalid_verification_code");
    expect((await enter(email, newer, bearer)).status).toBe(200);
  });

  it("asks little for the right one of the caller's own client", async () => {
    const { read } = latchkey.server.core.storage;
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const bearer = await tokenOf(latchkey, tenant.account_id, app);
    const code = await receiveCode(tenant, { client: app, email });
    const asked = vi.spyOn(read, "selectFrom");
    const reply = await enter(email, code, bearer);
    const tables = asked.mock.calls.map(([name]) => String(name));
    asked.mockRestore();
    expect([reply.status, await guesses(id)]).toEqual([200, 0]);
    const of = (table: string) => tables.filter((name) => name.startsWith(table)).length;
    // Whose address it is, once to find the client and once for that client.
    expect([of("live_users"), of("verification_codes")]).toEqual([2, 1]);
  });

  it("counts every wrong one, also when one client's codes are dead by guesses, until digits are closed", async () => {
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const older = await receiveCode(tenant, { client: web, email });
    const newer = await receiveCode(tenant, { client: app, email });
    const wrong = wrongGuesses(older, 12).filter((one) => one !== newer);
    for (const [n, one] of wrong.slice(0, 10).entries())
      expect((await enter(email, one)).body.error.code, `guess ${n}`).toBe("invalid_verification_code");
    expect(await guesses(id)).toBe(10);
    for (const right of [older, newer])
      expect((await enter(email, right)).body.error.code, "right").toBe("too_many_attempts");
  });

  it("counts them against the other whom they may mean where digits are closed for the first", async () => {
    const third = await addClient(latchkey, tenant.account_id, { code_format: "numeric" });
    await addGrant(latchkey, tenant.account_id, third, tenant.audience, ["orders:read"], "authorization_code");
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const company = await addUser(latchkey, tenant.account_id, { email, type: "company" });
    const codes: string[] = [];
    for (const client of [third, web, app]) codes.push(await receiveCode(tenant, { client, email }));
    const wrong = wrongGuesses(codes[0] ?? "", 30).filter((one) => !codes.includes(one));
    for (const one of wrong.slice(0, 10)) await enter(email, one);
    expect([await guesses(id), (await enter(email, codes[0] ?? "")).body.error.code]).toEqual([
      10,
      "too_many_attempts",
    ]);
    const theirs = await receiveCode(tenant, { client: business, email });
    for (const one of wrong.filter((one) => one !== theirs).slice(10, 16)) await enter(email, one);
    expect(await guesses(company.id)).toBe(5);
    expect((await enter(email, theirs)).body.error.code).toBe("too_many_attempts");
  });

  it("says that one was used, and counts no guess at another that waits", async () => {
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const older = await receiveCode(tenant, { client: web, email });
    await receiveCode(tenant, { client: app, email });
    expect((await enter(email, older)).status).toBe(200);
    expect((await enter(email, older)).body.error.code).toBe("verification_code_used");
    expect(await guesses(id)).toBe(0);
  });

  it("counts every wrong one at a code that was just used, so that nobody finds it and ends its login", async () => {
    const form = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, form, tenant.issuer, ["write:accounts:/auth/users"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, form);
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const code = await receiveCode(tenant, { client: web, email });
    expect((await enter(email, code, bearer)).status).toBe(200);
    for (const one of wrongGuesses(code, 10))
      expect((await enter(email, one, bearer)).body.error.code).toBe("invalid_verification_code");
    expect(await guesses(id)).toBe(10);
    expect((await enter(email, code, bearer)).body.error.code).toBe("too_many_attempts");
  });

  const change = (client: TestClient, json: object) => {
    const changed = { method: "PATCH", token: tenant.token, json };
    return call(`${tenant.base}/auth/clients/${client.id}`, changed);
  };
  const unredeemable: Record<string, (client: TestClient, grant_id: string) => Promise<{ status: number }>> = {
    "takes tokens bound to a key alone": (client) => change(client, { dpop_bound_access_tokens: true }),
    "logs in people of another type by now": (client) => change(client, { user_type: "company" }),
    "holds no grant any more": (_client, grant_id) =>
      call(`${tenant.base}/auth/client-grants/${grant_id}`, { method: "DELETE", token: tenant.token }),
    "is deleted": ({ id }) => call(`${tenant.base}/auth/clients/${id}`, { method: "DELETE", token: tenant.token }),
  };
  for (const [what, make] of Object.entries(unredeemable)) {
    it(`counts every wrong one at the others beside a newer code whose client ${what}`, async () => {
      const client = await addClient(latchkey, tenant.account_id, { code_format: "numeric" });
      const scope = ["orders:read"];
      const grant_id = await addGrant(
        latchkey,
        tenant.account_id,
        client,
        tenant.audience,
        scope,
        "authorization_code",
      );
      const { id, email } = await addUser(latchkey, tenant.account_id);
      const code = await receiveCode(tenant, { client: web, email });
      const newer = await receiveCode(tenant, { client, email });
      expect((await make(client, grant_id)).status).toBeLessThan(300);
      const wrong = wrongGuesses(code, 6).filter((one) => one !== newer);
      for (const one of wrong.slice(0, 5))
        expect((await enter(email, one)).body.error.code).toBe("invalid_verification_code");
      expect(await guesses(id)).toBe(5);
      expect((await enter(email, newer)).body.error.code).toBe("too_many_attempts");
      expect((await enter(email, code)).body.error.code).toBe("too_many_attempts");
    });
  }

  it("says of a client whose tokens are bound to a key where its digits alone are waited for, whatever they are", async () => {
    const bound = await addClient(latchkey, tenant.account_id, {
      code_format: "numeric",
      dpop_bound_access_tokens: true,
    });
    await addGrant(latchkey, tenant.account_id, bound, tenant.audience, ["orders:read"], "authorization_code");
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const code = await receiveCode(tenant, { client: bound, email });
    for (const one of [...wrongGuesses(code, 1), code]) {
      const reply = await enter(email, one);
      expect([reply.status, reply.body.error.code]).toEqual([403, "unauthorized_client"]);
      expect(reply.text).toContain("oauth/token");
    }
    expect(await guesses(id)).toBe(0);
    // Codes that are found by themselves are compared all the same: a wrong one is blamed on the caller's own client.
    const before = await guesses(tenant.client.id, "typable_guess");
    expect((await enter(email, "Q7WXK-3M9TV")).body.error.code).toBe("invalid_verification_code");
    expect(await guesses(tenant.client.id, "typable_guess")).toBe(before + 1);
  });
});
