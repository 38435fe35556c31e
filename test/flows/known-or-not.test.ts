/** What known and unknown people cause behind the answers, which a stopwatch would see: the same. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { sendCode } from "../../src/authentication/verification/send.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import type { Transaction } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  askForCode,
  authorize,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
} from "../support/latchkey.ts";
import { PASSWORD } from "../support/people.ts";
import { countRows, difference } from "../support/rows.ts";

describeOnBothEngines("known or not", (engine) => {
  let latchkey: Latchkey;
  const asked: string[] = [];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { onQuery: (text) => void asked.push(text) });
  });
  afterAll(() => latchkey.close());

  it("does the same work behind the answer for known and unknown people: the outbox looks after each send", async () => {
    const tenant = await createTenant(latchkey);
    const { storage, directory } = latchkey.server.core;
    let looks = 0;
    const authentication = { directory, nudge: () => looks++ };
    const account = await findAccount(directory, tenant.account_id);
    const client = await findClient(directory, tenant.account_id, tenant.client.client_id);
    for (const email of [tenant.user.email, "nobody@example.com"]) {
      looks = 0;
      await sendCode(authentication, {
        ...{ account, client, audience: tenant.audience, email, user_type: client.settings.user_type },
        connection: { name: "email", strategy: "email" },
        ...{
          source: null,
          own: null,
          actor: "test",
          facts: { request_id: "test", ip: "192.0.2.1" },
          now: storage.now(),
        },
      });
      expect(looks, email).toBe(1);
    }
  });

  it("takes one of a person's sends for many requests at once, and refuses what is beyond them alike, known or not", async () => {
    const tenant = await createTenant(latchkey, { scope: ["write:accounts"] });
    const { storage } = latchkey.server.core;
    const ask = async (email: string, address: number) => {
      const headers = { "end-user-ip": `203.0.113.${address}` };
      const reply = await askForCode(tenant, { email, headers });
      return { status: reply.status, code: reply.body?.error?.code, headers: [...reply.headers.keys()] };
    };
    const took = async () => {
      const budgets = storage.read.selectFrom("budgets").select(["budget", "count"]).orderBy("budget");
      const of = budgets.where("account_id", "=", tenant.account_id).where("budget", "like", "send_identifier%");
      return (await of.execute()).map(({ budget, count }) => `${budget} ${count}`);
    };
    const empty = ({ db }: Transaction) =>
      db.deleteFrom("budgets").where("account_id", "=", tenant.account_id).execute();
    const useUp = async ({ db }: Transaction) => {
      const all = db.updateTable("budgets").set({ count: 20 }).where("account_id", "=", tenant.account_id);
      await all.where("budget", "=", "send_identifier").execute();
      const ended = { window_ends_at: new Date(storage.now()).toISOString() };
      await db.updateTable("budgets").set(ended).where("budget", "=", "send_pause").execute();
    };
    const seen = [];
    for (const email of [tenant.user.email, "nobody@example.com"]) {
      await storage.write(empty);
      const before = await countRows(latchkey, tenant);
      const stranger = await Promise.all(Array.from({ length: 24 }, (_, n) => ask(email, n % 6)));
      const made = difference(await countRows(latchkey, tenant), before);
      const taken = await took();
      const owner = await ask(email, 99);
      await storage.write(useUp);
      seen.push({ stranger, made, taken, owner, beyond: [await ask(email, 100), await ask(email, 101)] });
    }
    const [known, unknown] = seen;
    expect(known?.taken).toEqual(["send_identifier 1", ...Array(6).fill("send_identifier_source 4")]);
    expect(known?.stranger.map(({ status }) => status)).toEqual(Array(24).fill(204));
    expect([known?.owner, ...(known?.beyond ?? [])].map((reply) => reply?.status)).toEqual([204, 429, 429]);
    expect(unknown).toEqual(known);
    expect(known?.made).toMatchObject({ outbox: 1, audit_events: 24 });
  });

  it("asks the same of the database for an SMS to somebody and to nobody, wherever their number is", async () => {
    const tenant = await createTenant(latchkey, { settings: { sms_countries: ["NO"] } });
    const known = ["+4790000001", "+46701234561"];
    for (const phone_number of known) await addUser(latchkey, tenant.account_id, { phone_number });
    const counts: Record<string, readonly number[]> = {};
    for (const phone_number of [...known, "+4790000002", "+46701234562"]) {
      asked.length = 0;
      await askForCode(tenant, { connection: "sms", phone_number });
      const of = (table: string) => asked.filter((text) => text.includes(table)).length;
      counts[phone_number] = [of("budgets"), of("verification_codes"), of("login_sessions")];
    }
    expect(new Set(Object.values(counts).map(String)).size, JSON.stringify(counts)).toBe(1);
  });

  it("asks the same of the database for a wrong password and a recovery, whoever is named", async () => {
    const tenant = await createTenant(latchkey);
    const { audience } = tenant;
    const post = (path: string, json: object) =>
      call(`${tenant.base}/auth/${path}`, { method: "POST", token: tenant.token, json });
    const made = await post("users", { username: "grace", password: PASSWORD });
    expect(made.status, made.text).toBe(200);
    const asks = async (username: string) => {
      asked.length = 0;
      const about = { username, audience };
      expect((await post("token", { grant_type: "password", password: "wrong password", ...about })).status).toBe(400);
      expect((await post("mfa/recovery", { challenge_type: "oob", oob_channel: "sms", ...about })).status).toBe(200);
      return ["usernames", "users", "passwords", "factors", "budgets"].map(
        (table) => `${table} ${asked.filter((text) => text.includes(`"${table}"`)).length}`,
      );
    };
    await asks("warm");
    expect(await asks("nobody")).toEqual(await asks("grace"));
    expect(await asks("nobody@example.com")).toEqual(await asks(tenant.user.email));
  });

  it("writes the same rows for known and unknown people when a wrong guess closes their numeric codes", async () => {
    const tenant = await createTenant(latchkey, { settings: { numeric_guess_limit: 1 } });
    const rows: Record<string, number>[] = [];
    for (const ident of [tenant.user.email, "nobody@example.com"]) {
      const before = await countRows(latchkey, tenant);
      const guess = { verification_code: "000000", ident_type: "email", ident };
      expect((await authorize(tenant, guess)).status).toBe(400);
      rows.push(difference(await countRows(latchkey, tenant), before));
    }
    expect(rows[0]).toMatchObject({ verification_codes: 1, outbox: 1 });
    expect(rows[1]).toEqual(rows[0]);
  });
});
