/** Hashes of passwords that came from elsewhere, before anybody looked whether a password can be held against them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { storePassword } from "../../src/authentication/passwords/password.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addUser, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { addPerson, PASSWORD } from "../support/people.ts";

const ENDS = "c2FsdHNhbHQ$c2FsdHNhbHRzYWx0c2FsdA";

describeOnBothEngines("a password hash that no password can be held against", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const logIn = (email: string) => {
    const json = { audience: tenant.audience, type: "customer", email, password: PASSWORD };
    return call(`${tenant.base}/customers/login`, { method: "POST", token: tenant.token, json });
  };

  it.each([
    ["a salt that is too short", "$argon2id$v=19$m=64,t=1,p=1$c2Fs$c2FsdHNhbHRzYWx0c2FsdA"],
    ["costs that begin with 0", `$argon2id$v=19$m=064,t=1,p=1$${ENDS}`],
    ["costs that argon2 does not have", `$argon2id$v=19$m=1,t=0,p=0$${ENDS}`],
    ["more memory than there is", `$argon2id$v=19$m=9999999999,t=1,p=1$${ENDS}`],
    ["costs without an end", `$argon2id$v=19$m=262144,t=100,p=1$${ENDS}`],
    ["nothing that is known", "garbage"],
  ])("lets nobody in, and is no failure (%s)", async (_what, hash) => {
    const { account_id } = tenant;
    const { storage } = latchkey.server.core;
    const { id: user_id, email } = await addUser(latchkey, account_id);
    await storage.write((tx) => storePassword(tx, account_id, user_id, { kind: "password", hash }, storage.now()));
    const refused = await logIn(email);
    expect([refused.status, refused.body?.error?.code]).toEqual([400, "invalid_grant"]);
    const other = await addPerson(latchkey, account_id);
    expect((await logIn(other.email)).status).toBe(200);
  });
});
