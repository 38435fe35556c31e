/** What is right is no guess: neither of a person, however many come together, nor of the address that many come from. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, type Latchkey, type Reply, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { addPerson, logInAccountUser, PASSWORD, setPassword } from "../support/people.ts";

const statuses = (replies: readonly Reply[]) => [...new Set(replies.map(({ status }) => status))];

describeOnBothEngines("right passwords", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const logIn = (username: string, password = PASSWORD, headers = {}) =>
    call(`${tenant.base}/auth/token`, {
      ...{ method: "POST", token: tenant.token, headers },
      json: { grant_type: "password", username, password, audience: tenant.audience },
    });
  const times = (n: number, attempt: () => Promise<Reply>) => Promise.all(Array.from({ length: n }, attempt));
  const guessesAt = async (person: string) => {
    const budgets = latchkey.server.core.storage.read.selectFrom("budgets").where("account_id", "=", tenant.account_id);
    const found = budgets.where("subject", "=", person).where("budget", "=", "factor_guess").select("count");
    return Number((await found.executeTakeFirst())?.count ?? 0);
  };

  it("of one person that come together let all of them in, beside wrong ones too", async () => {
    const { email, id } = await addPerson(latchkey, tenant.account_id);
    // A slow machine has no room for all of them, and says so.
    const letIn = async (n: number) => {
      const all = statuses(await times(n, () => logIn(email)));
      expect(all).toContain(200);
      expect(all.filter((status) => status !== 200 && status !== 503)).toEqual([]);
    };
    await letIn(24);
    expect(await guessesAt(id)).toBe(0);
    for (let n = 0; n < 9; n++) expect((await logIn(email, "wrong password")).status).toBe(400);
    await letIn(12);
    expect(await guessesAt(id)).toBe(9);
  });

  it("that are refused, since wrong ones closed them, are not counted as wrong", async () => {
    const { email, id } = await addPerson(latchkey, tenant.account_id);
    for (let n = 0; n < 10; n++) expect((await logIn(email, "wrong password")).status).toBe(400);
    const refused = await times(5, () => logIn(email, PASSWORD, { "end-user-ip": "203.0.113.8" }));
    expect(statuses(refused)).toEqual([429]);
    expect(await guessesAt(id)).toBe(10);
  });

  it("of many people at one address count nothing against it", async () => {
    const { email } = await addPerson(latchkey, tenant.account_id);
    const headers = { "end-user-ip": "203.0.113.7" };
    for (let n = 0; n < 24; n++) expect((await logIn(email, PASSWORD, headers)).status, `login ${n}`).toBe(200);
    for (let n = 0; n < 20; n++) {
      const { email: other } = n < 10 ? { email } : { email: "nobody@example.com" };
      expect((await logIn(other, "wrong password", headers)).status, `guess ${n}`).toBe(400);
    }
    expect((await logIn("nobody@example.com", "wrong password", headers)).status).toBe(429);
  });

  it("that come together to change it are no guesses, and one of them changes it", async () => {
    const { id, token: bearer } = await logInAccountUser(latchkey, tenant);
    await setPassword(latchkey, tenant.account_id, id);
    const json = { previous_password: PASSWORD, proposed_password: "another battery" };
    const change = () => call(`${latchkey.url}/v1/account/user/password`, { method: "POST", token: bearer, json });
    const replies = await times(14, change);
    const others = replies.filter(({ status }) => status !== 201);
    expect(others).toHaveLength(13);
    // A slow machine has no patience for all of them.
    expect(statuses(others).filter((status) => status !== 400 && status !== 503)).toEqual([]);
    expect(await guessesAt(`change ${id}`)).toBe(0);
    expect((await change()).status, "wrong by now").toBe(400);
    expect(await guessesAt(`change ${id}`)).toBe(1);
  });
});
