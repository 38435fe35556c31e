/**
 * Toll fraud: a range of numbers to which codes are sent that nobody enters is stopped; one where people enter them
 * stays open.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  askForCode,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";

describeOnBothEngines("a range of numbers", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  /** What today's SMS to the range came to so far, of those that administrators and people sent for themselves. */
  async function history({ account_id, user }: Tenant, sms_prefix_sent: number, sms_prefix_verified: number) {
    const { storage } = latchkey.server.core;
    const window_ends_at = new Date(storage.now() + 3_600_000).toISOString();
    const rows = Object.entries({ sms_prefix_sent, sms_prefix_verified }).map(([budget, count]) => ({
      ...{ account_id, budget, count, window_ends_at },
      subject: `${budget === "sms_prefix_sent" ? "own " : ""}${user.phone_number.slice(0, 6)}`,
    }));
    await storage.write(({ db }) => db.insertInto("budgets").values(rows).execute());
  }

  async function textsFor(tenant: Tenant, phone_number: string): Promise<number> {
    expect((await askForCode(tenant, { connection: "sms", phone_number })).status).toBe(204);
    return (await inbox(tenant, phone_number)).length;
  }

  it("is stopped once fifty were sent and fewer than a fifth entered, silently, and no other with it", async () => {
    const tenant = await createTenant(latchkey);
    const elsewhere = await addUser(latchkey, tenant.account_id, { phone_number: "+4791234567" });
    await history(tenant, 50, 9);
    expect(await textsFor(tenant, tenant.user.phone_number)).toBe(0);
    expect(await textsFor(tenant, elsewhere.phone_number)).toBe(1);
    const open = await createTenant(latchkey);
    await history(open, 50, 10);
    expect(await textsFor(open, open.user.phone_number)).toBe(1);
    const young = await createTenant(latchkey);
    await history(young, 49, 0);
    expect(await textsFor(young, young.user.phone_number)).toBe(1);
    expect(await textsFor(young, (await addUser(latchkey, young.account_id)).phone_number)).toBe(0);
  });

  it("and an SMS that is withheld for another reason, is told of in the audit trail, whatever its code is for", async () => {
    const tenant = await createTenant(latchkey, { settings: { sms_daily_budget: 0 } });
    const { email } = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const first = { grant_type: "password", username: email, password: PASSWORD, audience: tenant.audience };
    const { mfa_token } = (await token(tenant, first)).body;
    const post = (path: string, json: object) =>
      call(`${tenant.base}/${path}`, { method: "POST", token: tenant.token, json });
    expect((await post("auth/mfa/challenge", { challenge_type: "oob", mfa_token })).status).toBe(200);
    const to = `customers/users/${tenant.user.id}/communication/send-verification-code/phone_number`;
    expect((await post(to, {})).status).toBe(204);
    const told = await latchkey.server.core.storage.read
      .selectFrom("audit_events")
      .select(["action", "outcome", "context"])
      .where("account_id", "=", tenant.account_id)
      .where("action", "in", ["second_factor.challenged", "contact.challenged"])
      .execute();
    const withheld = { outcome: "failure", withheld: "daily budget used up" };
    expect(told.map(({ action, outcome, context }) => ({ action, outcome, ...JSON.parse(context) }))).toEqual([
      expect.objectContaining({ action: "second_factor.challenged", channel: "sms", ...withheld }),
      expect.objectContaining({ action: "contact.challenged", field: "phone_number", ...withheld }),
    ]);
  });

  const ways: [string, (tenant: Tenant) => Promise<unknown>][] = [
    [
      "logs in",
      async (tenant) => {
        const code = await receiveCode(tenant, { connection: "sms", phone_number: tenant.user.phone_number });
        expect((await authorize(tenant, { verification_code: code })).status).toBe(302);
      },
    ],
    [
      "shows a second factor",
      async (tenant) => {
        const { email, phone_number } = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
        const first = { grant_type: "password", username: email, password: PASSWORD, audience: tenant.audience };
        const { mfa_token } = (await token(tenant, first)).body;
        const json = { challenge_type: "oob", mfa_token };
        const asked = await call(`${tenant.base}/auth/mfa/challenge`, { method: "POST", token: tenant.token, json });
        const binding_code = (await inbox(tenant, phone_number))[0]?.verification_code;
        const { oob_code } = asked.body;
        const done = await token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
        expect(done.status, done.text).toBe(200);
      },
    ],
    [
      "confirms a number",
      async (tenant) => {
        const path = `${tenant.base}/customers/users/${tenant.user.id}/communication`;
        const post = (operation: string, json: object) =>
          call(`${path}/${operation}/phone_number`, { method: "POST", token: tenant.token, json });
        const value = `${tenant.user.phone_number.slice(0, -3)}999`;
        expect((await post("send-verification-code", { value })).status).toBe(204);
        const code = (await inbox(tenant, value))[0]?.verification_code;
        expect((await post("confirm-verification-code", { code })).status).toBe(204);
        expect(await textsFor(tenant, tenant.user.phone_number), "the fiftieth, as that one was nobody's yet").toBe(1);
      },
    ],
  ];

  it.each(ways)("stays open when one of them, who %s, enters the tenth code of fifty", async (_what, enter) => {
    const tenant = await createTenant(latchkey);
    const next = await addUser(latchkey, tenant.account_id);
    await history(tenant, 49, 9);
    await enter(tenant);
    expect(await textsFor(tenant, next.phone_number)).toBe(1);
  });
});
