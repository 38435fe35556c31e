/** Who waits for numeric codes of several clients enters the right one of each, and no other is guessed at by it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
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
    business = await waiting({ user_type: "company" });
  });
  afterAll(() => latchkey.close());

  const enter = (email: string, verification_code: string, bearer?: string) => {
    const about = { grant_type: "authorization_code", ident_type: "email", ident: email, audience: tenant.audience };
    return token(tenant, { ...about, verification_code }, bearer);
  };
  const guesses = async (user_id: string) => {
    const { read } = latchkey.server.core.storage;
    const found = read.selectFrom("budgets").select("count").where("account_id", "=", tenant.account_id);
    const row = await found.where("budget", "=", "numeric_guess").where("subject", "=", user_id).executeTakeFirst();
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
    await addGrant(latchkey, tenant.account_id, app, tenant.issuer, ["write:accounts:/auth/users/no-mfa"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, app);
    expect((await enter(email, older, bearer)).body.error.code).toBe("invalid_verification_code");
    expect((await enter(email, newer, bearer)).status).toBe(200);
  });
});
