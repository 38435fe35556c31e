/** People who were deleted: nothing reaches them any more, whatever was under way. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  askForCode,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
import { code } from "../support/replies.ts";

describeOnBothEngines("a person who was deleted", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });
  const remove = async (id: string) => expect((await send("DELETE", `/customers/users/${id}`)).status).toBe(200);
  const challenge = (mfa_token: string, oob_channel: string) =>
    send("POST", "/auth/mfa/challenge", { challenge_type: "oob", mfa_token, oob_channel });

  it.each([
    ["email", "sms"],
    ["sms", "email"],
  ] as const)("gets no code again of a login that was under way by %s, nor by %s", async (first, then) => {
    const { email, phone_number, id } = await addPerson(latchkey, tenant.account_id);
    const address = { email, sms: phone_number };
    const asked = await askForCode(tenant, { email, connection: first });
    const login_session_id = asked.headers.get("login-session-id") ?? "";
    expect(await inbox(tenant, address[first])).toHaveLength(1);
    await remove(id);
    const again = await askForCode(tenant, { email, connection: then, login_session_id });
    expect([again.status, again.headers.get("login-session-id")]).toEqual([204, login_session_id]);
    expect(await inbox(tenant, address[then])).toEqual([]);
  });

  it("gets no binding code after their password", async () => {
    const { email, phone_number, id } = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const about = { username: email, password: PASSWORD, audience: tenant.audience };
    const { mfa_token } = (await token(tenant, { grant_type: "password", ...about })).body;
    await remove(id);
    expect(code(await challenge(mfa_token, "sms"))).toEqual([400, "invalid_grant"]);
    expect(await inbox(tenant, phone_number)).toEqual([]);
  });

  it("gets no binding code of a recovery, which answers as it does to anybody", async () => {
    const { email, id } = await addPerson(latchkey, tenant.account_id, { factors: ["sms", "email"] });
    const about = { challenge_type: "oob", oob_channel: "sms", username: email, audience: tenant.audience };
    const { mfa_token } = (await send("POST", "/auth/mfa/recovery", about)).body;
    await remove(id);
    expect((await challenge(mfa_token, "email")).status).toBe(200);
    expect(await inbox(tenant, email)).toEqual([]);
  });
});
