/** Codes that confirm a person's address or number: how many guesses there are, and for how long they are good. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  receiveCode,
  startLatchkey,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, personToken, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { letPass } from "../support/time.ts";
import { wrongGuesses } from "../support/verification.ts";

describeOnBothEngines("a code that confirms an address or number", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.1" } });
  });
  afterAll(() => latchkey.close());

  /** Somebody whose new address or number waits for its code. */
  const begin = async (field: "email" | "phone_number") => {
    const tenant = await createTenant(latchkey);
    const user = await addPerson(latchkey, tenant.account_id);
    const value = field === "email" ? `new-${user.email}` : "+4740222333";
    const send = (operation: string, json: object) =>
      call(`${tenant.base}/customers/users/${user.id}/communication/${operation}/${field}`, {
        ...{ method: "POST", token: tenant.token, json },
      });
    expect((await send("send-verification-code", { value })).status).toBe(204);
    const right = (await inbox(tenant, value))[0]?.verification_code ?? "";
    expect(right).toMatch(/^\d{6}$/);
    const confirm = (typed: string) => send("confirm-verification-code", { code: typed });
    const shown = async () => {
      const path = `${tenant.base}/customers/users/${user.id}`;
      return (await call(path, { token: tenant.token })).body[field];
    };
    return { tenant, user, value, right, confirm, send, shown };
  };

  it.each(["email", "phone_number"] as const)(
    "lets parallel guesses at the code of a new %s have no more than ten, and then takes the right one neither",
    async (field) => {
      const { tenant, user, right, confirm, shown } = await begin(field);
      const replies = await Promise.all(wrongGuesses(right, 30).map(confirm));
      const answers = replies.map(({ status }) => status);
      expect(answers.toSorted()).toEqual([...Array(10).fill(400), ...Array(20).fill(429)]);
      expect(code(await confirm(right))).toEqual([429, "too_many_attempts"]);
      expect(await shown()).toBe(user[field]);
      const about = { grant_type: "password", username: user.email, password: PASSWORD, audience: tenant.audience };
      expect((await token(tenant, about)).status, "their password is no part of this").toBe(200);
    },
  );

  it("goes to one address no more often than codes of a login do, whoever of the people there ask for it", async () => {
    const tenant = await createTenant(latchkey, { scope: ["admin:accounts", "user:customers"] });
    const staff = await addClient(latchkey, tenant.account_id, { grant_types: ["client_credentials"] });
    await addGrant(latchkey, tenant.account_id, staff, tenant.issuer, ["write:customers"]);
    const staff_token = await tokenOf(latchkey, tenant.account_id, staff);
    const value = `aimed-at-${tenant.user.email}`;
    const ask = (token: string, id: string, ip = "203.0.113.40") =>
      call(`${tenant.base}/customers/users/${id}/communication/send-verification-code/email`, {
        ...{ method: "POST", token, json: { value }, headers: { "end-user-ip": ip } },
      });
    const people: { id: string; token: string }[] = [];
    for (let n = 0; n < 2; n++) {
      const { id } = n === 0 ? tenant.user : await addUser(latchkey, tenant.account_id);
      people.push({ id, token: await personToken({ ...tenant, user: { ...tenant.user, id } }) });
    }
    const [one, other] = people as [(typeof people)[0], (typeof people)[0]];
    for (const { id, token } of [one, one, one, other, other]) expect((await ask(token, id)).status).toBe(204);
    expect(code(await ask(other.token, other.id)), "from this source").toEqual([429, "too_many_requests"]);
    expect((await ask(other.token, other.id, "203.0.113.41")).status).toBe(204);
    expect((await ask(staff_token, other.id)).status, "who writes customers decides for themselves").toBe(204);
    const { storage } = latchkey.server.core;
    await storage.write((tx) =>
      tx.db.updateTable("budgets").set({ count: 20 }).where("budget", "=", "send_identifier").execute(),
    );
    expect(code(await ask(one.token, one.id, "203.0.113.42")), "from all together").toEqual([429, "too_many_requests"]);
    expect(await inbox(tenant, value)).toHaveLength(7);
  });

  it("counts people where they are: where their client's server says, or by the connection of a browser", async () => {
    const { storage } = latchkey.server.core;
    const scope = ["admin:accounts", "user:customers"];
    for (const [called_from, method, header] of [
      ["server", "client_secret_basic", "end-user-ip"],
      ["browser", "client_secret_basic", "x-forwarded-for"],
      ["server", "none", "x-forwarded-for"],
    ] as const) {
      const tenant = await createTenant(latchkey, { scope, client: { called_from } });
      const token = await personToken(tenant);
      const change = { method: "PATCH", token: tenant.token, json: { token_endpoint_auth_method: method } };
      expect((await call(`${tenant.base}/auth/clients/${tenant.client.id}`, change)).status).toBe(200);
      let sent = 0;
      const ask = async (headers: Record<string, string>) => {
        sent += 1;
        const path = `/customers/users/${tenant.user.id}/communication/send-verification-code/email`;
        const json = { value: `n${sent}-${tenant.user.email}` };
        return (await call(`${tenant.base}${path}`, { method: "POST", token, json, headers })).status;
      };
      const [one, other] = [{ [header]: "203.0.113.50" }, { [header]: "203.0.113.51" }];
      expect(await ask(one)).toBe(204);
      await storage.write((tx) =>
        tx.db
          .updateTable("budgets")
          .set({ count: 50 })
          .where("account_id", "=", tenant.account_id)
          .where("budget", "=", "send_source")
          .execute(),
      );
      expect([await ask(one), await ask(other)], `${called_from} ${method}`).toEqual([429, 204]);
      expect(await ask({}), "from nobody knows where").toBe(204);
    }
  });

  it("is one of the messages that its client may ask for in a minute", async () => {
    const settings = { client_sends_per_minute: 3 };
    const tenant = await createTenant(latchkey, { scope: ["write:customers"], settings });
    const statuses = [];
    for (let n = 0; n < 5; n++) {
      const { id } = await addUser(latchkey, tenant.account_id);
      const path = `${tenant.base}/customers/users/${id}/communication/send-verification-code/email`;
      const json = { value: `written-${n}-${tenant.user.email}` };
      statuses.push((await call(path, { method: "POST", token: tenant.token, json })).status);
    }
    expect(statuses).toEqual([204, 204, 204, 429, 429]);
  });

  it("is no guess where it is right and somebody else has the address by now", async () => {
    const { tenant, user, value, right, confirm } = await begin("email");
    await addUser(latchkey, tenant.account_id, { email: value });
    for (let n = 0; n < 2; n++) expect(code(await confirm(right))).toEqual([400, "invalid_request"]);
    const { storage } = latchkey.server.core;
    const guesses = storage.read.selectFrom("budgets").select("count").where("subject", "=", `contact ${user.id}`);
    const counts = await guesses.where("budget", "=", "factor_guess").execute();
    expect(counts.map(({ count }) => Number(count))).toEqual([0]);
  });

  it("is the one on its way, also when it is asked for again, at once or twice at a time", async () => {
    const { tenant, value, right, confirm, send, shown } = await begin("email");
    const again = () => send("send-verification-code", { value });
    expect((await Promise.all([again(), again()])).map(({ status }) => status)).toEqual([204, 204]);
    const codes = (await inbox(tenant, value)).map(({ verification_code }) => verification_code);
    expect(codes).toEqual([right, right, right]);
    expect((await confirm(right)).status).toBe(204);
    expect(await shown()).toBe(value);
    expect(code(await confirm(right)), "once").toEqual([400, "invalid_verification_code"]);
  });

  it("is another one for another address, and after half its life", async () => {
    const { tenant, user, value, right, confirm, send, shown } = await begin("email");
    await letPass(latchkey, "contact_challenges", tenant.account_id, 310);
    expect((await send("send-verification-code", { value })).status).toBe(204);
    const [newer] = await inbox(tenant, value);
    expect(newer?.verification_code).not.toBe(right);
    const next = `yet-${user.email}`;
    expect((await send("send-verification-code", { value: next })).status).toBe(204);
    expect(code(await confirm(newer?.verification_code ?? ""))).toEqual([400, "invalid_verification_code"]);
    expect((await confirm((await inbox(tenant, next))[0]?.verification_code ?? "")).status).toBe(204);
    expect(await shown()).toBe(next);
  });

  it.each(["Ada@M\u00fcller.example", "ada@Mu\u0308ller.example.", "ADA@plain.example"])(
    "of the address that %s has is no change: it stays as it was written, and nobody is warned",
    async (email) => {
      const tenant = await createTenant(latchkey);
      const post = (path: string, json: object) =>
        call(`${tenant.base}/customers/users${path}`, { method: "POST", token: tenant.token, json });
      const { id } = (await post("", { email })).body;
      const waiting = await receiveCode(tenant, { email });
      expect((await post(`/${id}/communication/send-verification-code/email`, {})).status).toBe(204);
      const [newest] = await inbox(tenant, email);
      const confirm = { code: newest?.verification_code };
      expect((await post(`/${id}/communication/confirm-verification-code/email`, confirm)).status).toBe(204);
      expect((await inbox(tenant, email)).map(({ subject }) => subject)).toHaveLength(2);
      expect((await call(`${tenant.base}/customers/users/${id}`, { token: tenant.token })).body.email).toBe(email);
      expect((await authorize(tenant, { verification_code: waiting })).status, "its codes are good").toBe(302);
    },
  );

  it("is good for ten minutes and no longer", async () => {
    const [quick, slow] = [await begin("email"), await begin("email")];
    await letPass(latchkey, "contact_challenges", quick.tenant.account_id, 570);
    expect((await quick.confirm(quick.right)).status).toBe(204);
    expect(await quick.shown()).toBe(quick.value);
    await letPass(latchkey, "contact_challenges", slow.tenant.account_id, 601);
    expect(code(await slow.confirm(slow.right))).toEqual([400, "invalid_verification_code"]);
    expect(await slow.shown()).toBe(slow.user.email);
  });
});
