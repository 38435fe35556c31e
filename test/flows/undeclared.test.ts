/** What a request says beside what its operation declares changes nothing, whatever it is called in the code behind. */
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
import { addPerson } from "../support/people.ts";
import { code } from "../support/replies.ts";

describeOnBothEngines("what nobody declared", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (path: string, json: object) =>
    call(`${tenant.base}${path}`, { method: "POST", token: tenant.token, json });
  const row = (id: string) =>
    latchkey.server.core.storage.read
      .selectFrom("users")
      .selectAll()
      .where("account_id", "=", tenant.account_id)
      .where("id", "=", id)
      .executeTakeFirstOrThrow();

  it.each(["sms", "email"] as const)("makes no code of another purpose, by %s", async (connection) => {
    const { email, phone_number } = await addPerson(latchkey, tenant.account_id, { factors: ["sms", "email"] });
    const to = connection === "sms" ? phone_number : email;
    expect((await askForCode(tenant, { connection, email, purpose: "password_reset" } as never)).status).toBe(204);
    const [message] = await inbox(tenant, to);
    const { verification_code = "" } = message ?? {};
    expect(verification_code).not.toBe("");
    const about = { email, audience: tenant.audience, type: "customer", verification_code, password: "a new battery" };
    expect(code(await send("/customers/change_password", about))).toEqual([400, "invalid_verification_code"]);
  });

  it.each([["x"], ["__proto__"], [7], [{ kind: "password_reset" }]])(
    "sends the message it always sends, beside purpose %j",
    async (purpose) => {
      const { email } = await addPerson(latchkey, tenant.account_id);
      expect((await askForCode(tenant, { email, purpose } as never)).status).toBe(204);
      expect(await inbox(tenant, email)).toHaveLength(1);
    },
  );

  it("gives an account user nothing of what makes a customer", async () => {
    for (const [index, more] of [
      { within: 1 },
      { phone_number: 5 },
      { phone_number: "+4745000001" },
      { customer_id: "any text, no pattern" },
      { locale: 7, role_ids: 5, verified: "x" },
    ].entries()) {
      const made = await send("/management/users", { email: `staff-${index}@example.com`, ...more });
      expect(made.status, made.text).toBe(200);
      const { phone_number, customer_id, locale } = await row(made.body.id);
      expect({ phone_number, customer_id, locale }).toEqual({ phone_number: null, customer_id: null, locale: null });
    }
  });

  it("gives a customer nothing of what makes an account user", async () => {
    const { id } = (await send("/customers/users", { email: "plain@example.com" })).body;
    const { type: customer, profile: empty } = await row(id);
    const plain = [customer, empty];
    for (const [index, more] of [
      { role_ids: 5 },
      { role_ids: ["x"], scope: ["admin:accounts"] },
      { authentication_type: "external", agreement: { ip: "x" } },
    ].entries()) {
      const made = await send("/customers/users", { email: `customer-${index}@example.com`, ...more });
      expect(made.status, made.text).toBe(200);
      const { type, profile } = await row(made.body.id);
      expect([type, profile]).toEqual(plain);
    }
  });

  it("sends no browser back with it", async () => {
    const odd = { x: { toString: 1, valueOf: 1 }, state: "kept", more: "y".repeat(20_000) };
    const sent = await call(`${tenant.issuer}/oauth/logout`, { method: "POST", json: odd });
    expect([sent.status, sent.headers.get("location")]).toEqual([303, `${tenant.issuer}/oauth/logout?state=kept`]);
  });
});
