/** Recoveries that strangers begin: what they tell of people, and how many messages come of them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { budgets } from "../../src/limits/budgets.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addUser, call, createTenant, inbox, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { countRows, difference } from "../support/rows.ts";
import { letPass } from "../support/time.ts";

const ways = ["auth/mfa/recovery", "customers/mfa_login_recovery"] as const;
type Way = (typeof ways)[number];

describeOnBothEngines("recoveries", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const recover = (own: Tenant, way: Way, ident: string, { from = "", channel = "email" } = {}) => {
    const { audience } = own;
    const ident_type = ident.startsWith("+") ? "phone_number" : "email";
    const json =
      way === "auth/mfa/recovery"
        ? { challenge_type: "oob", username: ident, audience, oob_channel: channel }
        : { audience, type: "customer", ident_type, ident };
    const headers = from ? { "end-user-ip": from } : {};
    return call(`${own.base}/${way}`, { method: "POST", token: own.token, json, headers });
  };
  const challenge = ({ base, token }: Tenant, mfa_token: string) =>
    call(`${base}/auth/mfa/challenge`, { method: "POST", token, json: { challenge_type: "oob", mfa_token } });

  it.each(ways)("tell nobody who exists, nor which channels they have, by the length of %s", async (way) => {
    const tenants = [
      await createTenant(latchkey),
      await createTenant(latchkey, { settings: { mfa_recovery_channel: "sms" } }),
    ];
    for (const [place, own] of tenants.entries()) {
      const mail_alone = await addUser(latchkey, own.account_id, { email: `${"long.".repeat(12)}x@example.com` });
      await latchkey.server.core.storage.write(({ db }) =>
        db.updateTable("users").set({ phone_verified_at: null }).where("id", "=", mail_alone.id).execute(),
      );
      const people = [own.user.email, mail_alone.email, "nobody@example.com", `${"no.".repeat(19)}body@example.com`];
      const lengths: number[][] = [];
      for (const ident of people) {
        const { status, text, body } = await recover(own, way, ident, { channel: place === 0 ? "email" : "sms" });
        expect(status, text).toBe(200);
        const again = await challenge(own, body.mfa_token);
        expect(again.status, again.text).toBe(200);
        lengths.push([body.mfa_token, body.oob_code, again.body.oob_code].map((token) => token.length));
      }
      expect(new Set(lengths.map(String)).size, JSON.stringify(lengths)).toBe(1);
    }
  });

  it.each(ways)("at %s are as many from one address as logins are, and take nothing of those", async (way) => {
    const own = await createTenant(latchkey);
    const from = "203.0.113.7";
    const answers: number[] = [];
    for (let n = 0; n < 51; n++) answers.push((await recover(own, way, `nobody-${n}@example.com`, { from })).status);
    expect(answers).toEqual([...Array(50).fill(200), 429]);
    const elsewhere = await recover(own, way, "nobody-50@example.com", { from: "203.0.113.8" });
    expect(elsewhere.status, elsewhere.text).toBe(200);
    const login = { connection: "email", email: own.user.email, audience: own.audience };
    const about = { method: "POST", token: own.token, headers: { "end-user-ip": from } };
    const asked = await call(`${own.base}/auth/passwordless`, {
      ...about,
      json: { ...login, client_id: own.client.client_id },
    });
    expect(asked.status, asked.text).toBe(204);
  });

  it("count what else is sent before anything is proved as well, from where they began", async () => {
    const own = await createTenant(latchkey);
    const from = "203.0.113.9";
    const { mfa_token } = (await recover(own, "auth/mfa/recovery", "nobody@example.com", { from })).body;
    const answers: number[] = [];
    for (let n = 0; n < 5; n++) answers.push((await challenge(own, mfa_token)).status);
    expect(answers).toEqual([200, 200, 200, 200, 429]);
    expect((await recover(own, "auth/mfa/recovery", "nobody@example.com", { from })).status).toBe(429);
    expect((await recover(own, "auth/mfa/recovery", "another@example.com", { from })).status).toBe(200);
  });

  it("are as many of one client as its sends", async () => {
    const own = await createTenant(latchkey, { settings: { client_sends_per_minute: 2 } });
    const answers: number[] = [];
    for (let n = 0; n < 3; n++)
      answers.push((await recover(own, "auth/mfa/recovery", `nobody-${n}@example.com`)).status);
    expect(answers).toEqual([200, 200, 429]);
  });

  it("tell nobody which names are one person's: what they have had enough of goes nowhere, and looks the same", async () => {
    const own = await createTenant(latchkey);
    const { email, phone_number } = own.user;
    const way = "customers/mfa_login_recovery";
    const { limit } = budgets.recovery_send;
    for (let n = 0; n < limit; n++)
      expect((await recover(own, way, email, { from: `203.0.113.${n + 1}` })).status, `${n}`).toBe(200);
    const sent = async () => [...(await inbox(own, email)), ...(await inbox(own, phone_number))].length;
    expect(await sent()).toBe(limit);
    const rows: Record<string, number>[] = [];
    for (const ident of [phone_number, "+4740999999"]) {
      const before = await countRows(latchkey, own);
      const reply = await recover(own, way, ident, { from: "203.0.113.200" });
      expect(reply.status, ident).toBe(200);
      rows.push(difference(await countRows(latchkey, own), before));
    }
    expect(rows[0]).toMatchObject({ outbox: 1, audit_events: 1 });
    expect(rows[1]).toEqual(rows[0]);
    expect(await sent()).toBe(limit);
    await letPass(latchkey, "budgets", own.account_id, 3_600);
    expect((await recover(own, way, phone_number)).status).toBe(200);
    expect(await sent()).toBe(limit + 1);
  });
});
