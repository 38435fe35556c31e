/** Asking for codes: what anybody may learn by it (nothing), how often, and where a code may go. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  askForCode,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
import { countRows, difference } from "../support/rows.ts";

describeOnBothEngines("auth/passwordless", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const rewind = async (tenant: Tenant, seconds: number) => {
    const { storage } = latchkey.server.core;
    const earlier = new Date(storage.now() - seconds * 1000).toISOString();
    await storage.write((tx) =>
      tx.db
        .updateTable("verification_codes")
        .set({ last_sent_at: earlier })
        .where("account_id", "=", tenant.account_id)
        .execute(),
    );
  };

  /** Everything a caller can see, without the values that have to differ. */
  const visible = ({ status, headers, text }: Reply) => {
    const differing = ["date", "request-id", "login-session-id"];
    return {
      status,
      text,
      headers: [...headers].map(([name, value]) => [name, differing.includes(name) ? "…" : value]).sort(),
    };
  };

  it("answers known, unknown and closed people alike, also with 429", async () => {
    const tenant = await createTenant(latchkey, { client: { code_format: "numeric" }, scope: ["write:accounts"] });
    const { storage } = latchkey.server.core;
    const closed = await addUser(latchkey, tenant.account_id);
    const ends = new Date(storage.now() + 3_600_000).toISOString();
    const shut = {
      account_id: tenant.account_id,
      budget: "numeric_guess",
      subject: closed.id,
      count: 10,
      window_ends_at: ends,
      level: 1,
      failures: 10,
    };
    await storage.write((tx) => tx.db.insertInto("budgets").values(shut).execute());
    const people = [tenant.user.email, "nobody@example.com", closed.email];
    const rowsBefore = await countRows(latchkey, tenant);
    const first = [];
    for (const email of people) {
      first.push(visible(await askForCode(tenant, { email })));
      const after = await countRows(latchkey, tenant);
      expect(difference(after, rowsBefore), email).toEqual({
        verification_codes: 1,
        login_sessions: 1,
        outbox: 1,
        audit_events: 1,
      });
      Object.assign(rowsBefore, after);
    }
    expect(first[0]?.status).toBe(204);
    expect(first[1]).toEqual(first[0]);
    expect(first[2]).toEqual(first[0]);
    const source = { headers: { "end-user-ip": "203.0.113.9" } };
    const refused: ReturnType<typeof visible>[] = [];
    for (const email of people) {
      for (let n = 0; n < 5; n++) expect((await askForCode(tenant, { email, ...source })).status).toBe(204);
      refused.push(visible(await askForCode(tenant, { email, ...source })));
    }
    expect(refused[0]?.status).toBe(429);
    const wait = (index: number) => Number(new Map(refused[index]?.headers as [string, string][]).get("retry-after"));
    for (const index of [0, 1, 2]) expect(wait(index)).toBeGreaterThan(840);
    const withoutWait = refused.map((reply) => ({
      ...reply,
      headers: reply.headers.filter(([name]) => name !== "retry-after"),
    }));
    expect(withoutWait[1]).toEqual(withoutWait[0]);
    expect(withoutWait[2]).toEqual(withoutWait[0]);
  });

  it("never harms a pending code, and sends that same one again while it has half its life left", async () => {
    const tenant = await createTenant(latchkey);
    const first = await receiveCode(tenant);
    expect((await askForCode(tenant)).status).toBe(204);
    expect(await inbox(tenant), "within 30 s nothing more is sent").toHaveLength(1);
    await rewind(tenant, 31);
    expect(await receiveCode(tenant)).toBe(first);
    const { storage } = latchkey.server.core;
    const now = storage.now();
    const old = {
      created_at: new Date(now - 400_000).toISOString(),
      expires_at: new Date(now + 200_000).toISOString(),
    };
    await storage.write((tx) =>
      tx.db.updateTable("verification_codes").set(old).where("account_id", "=", tenant.account_id).execute(),
    );
    await rewind(tenant, 31);
    const second = await receiveCode(tenant);
    expect(second).not.toBe(first);
    await rewind(tenant, 31);
    expect(await receiveCode(tenant), "never a third").toBe(second);
    expect((await authorize(tenant, { verification_code: first })).status, "the first is valid to its end").toBe(302);
    expect((await authorize(tenant, { verification_code: second })).body.error.code).toBe("verification_code_used");
  });

  it("resends the very code over another connection, to what the record held when the login began", async () => {
    const tenant = await createTenant(latchkey);
    const asked = await askForCode(tenant);
    const login_session_id = asked.headers.get("login-session-id") ?? "";
    expect(login_session_id).toMatch(/^[0-9a-f-]{36}$/);
    const [mailed] = await inbox(tenant, tenant.user.email);
    const { storage } = latchkey.server.core;
    await storage.write((tx) =>
      tx.db.updateTable("users").set({ phone_number: "+4799999999" }).where("id", "=", tenant.user.id).execute(),
    );
    const again = await askForCode(tenant, {
      connection: "sms",
      login_session_id,
      phone_number: "+4798888888",
      email: "eve@example.com",
      type: "company",
    });
    expect(again.headers.get("login-session-id")).toBe(login_session_id);
    const [texted] = await inbox(tenant, tenant.user.phone_number);
    expect(texted?.verification_code).toBe(mailed?.verification_code);
    expect(texted?.text).toContain(mailed?.verification_code);
    for (const elsewhere of ["+4799999999", "+4798888888", "eve@example.com"])
      expect(await inbox(tenant, elsewhere)).toEqual([]);
    expect((await inbox(tenant)).length).toBe(2);
    expect((await authorize(tenant, { verification_code: texted?.verification_code, connection: "sms" })).status).toBe(
      302,
    );
  });

  it("takes a session id of the caller's choosing, and refuses another client's or audience's", async () => {
    const tenant = await createTenant(latchkey);
    const login_session_id = "my-own.session~1";
    expect((await askForCode(tenant, { login_session_id })).headers.get("login-session-id")).toBe(login_session_id);
    const other = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, other, tenant.audience, []);
    const byOther = await askForCode(tenant, { login_session_id, client: other });
    expect([byOther.status, byOther.body.error.errors[0].path]).toEqual([400, "login_session_id"]);
    expect((await askForCode(tenant, { login_session_id, audience: tenant.issuer })).status).toBe(400);
    expect((await askForCode(tenant, { login_session_id: "a b" })).status).toBe(400);
    expect((await askForCode(tenant, { login_session_id: "x".repeat(129) })).status).toBe(400);
    const parallel = await Promise.all(
      Array.from({ length: 8 }, () => askForCode(tenant, { login_session_id: "raced", email: "new@example.com" })),
    );
    expect(parallel.map(({ status }) => status)).toEqual(Array(8).fill(204));
  });

  it("a numeric code goes with its login session, and with no other", async () => {
    const tenant = await createTenant(latchkey, { client: { code_format: "numeric" } });
    const asked = await askForCode(tenant);
    const login_session_id = asked.headers.get("login-session-id") ?? "";
    const [message] = await inbox(tenant, tenant.user.email);
    const verification_code = message?.verification_code;
    expect((await authorize(tenant, { verification_code })).body.error.code).toBe("ident_required");
    expect((await authorize(tenant, { verification_code, login_session_id: "other" })).body.error.code).toBe(
      "invalid_verification_code",
    );
    expect((await authorize(tenant, { verification_code, login_session_id })).status).toBe(302);
  });

  it("a stranger cannot spend a person's sends: the account's administrator has its own", async () => {
    const tenant = await createTenant(latchkey);
    const spa = await addClient(latchkey, tenant.account_id, { called_from: "browser" });
    await addGrant(
      latchkey,
      tenant.account_id,
      spa,
      tenant.issuer,
      ["write:accounts:/auth/passwordless"],
      "client_credentials",
    );
    await addGrant(latchkey, tenant.account_id, spa, tenant.audience, [], "authorization_code");
    const token = await tokenOf(latchkey, tenant.account_id, spa);
    const pending = await receiveCode(tenant);
    const stranger = () => askForCode(tenant, { client: spa, token });
    const replies = [];
    for (let n = 0; n < 8; n++) replies.push((await stranger()).status);
    expect(replies).toEqual([204, 204, 204, 204, 204, 429, 429, 429]);
    await rewind(tenant, 31);
    expect(await receiveCode(tenant)).toBe(pending);
    expect((await authorize(tenant, { verification_code: pending })).status).toBe(302);
  });

  it("counts people of an app without a secret where its server says, not all of them where that is", async () => {
    const tenant = await createTenant(latchkey, { scope: ["write:accounts"] });
    const client = await addClient(latchkey, tenant.account_id, { token_endpoint_auth_method: "none" });
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, [], "authorization_code");
    const ask = (host: string, n: number) =>
      askForCode(tenant, { client, email: `app${n}@example.com`, headers: { "end-user-ip": host } });
    expect((await ask("203.0.113.60", 1)).status).toBe(204);
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db
        .updateTable("budgets")
        .set({ count: 50 })
        .where("account_id", "=", tenant.account_id)
        .where("budget", "in", ["send_source", "send_site"])
        .execute(),
    );
    expect([(await ask("203.0.113.60", 2)).status, (await ask("203.0.113.61", 3)).status]).toEqual([429, 204]);
  });

  it("counts by source: 50 an hour from one address, IPv6 by its /64, whoever is asked for", async () => {
    const tenant = await createTenant(latchkey, { scope: ["write:accounts"] });
    const from = (host: string, n: number) =>
      askForCode(tenant, { email: `p${n}@example.com`, headers: { "end-user-ip": host } });
    const replies = [];
    for (let n = 0; n < 52; n++) replies.push((await from(`2001:db8:1:2::${n.toString(16)}`, n)).status);
    expect(replies.filter((status) => status === 204)).toHaveLength(50);
    expect((await from("2001:db8:1:3::1", 99)).status).toBe(204);
    expect((await askForCode(tenant, { email: "p100@example.com" })).status, "no source, no limit by source").toBe(204);
  });

  it("counts by client", async () => {
    const tenant = await createTenant(latchkey, { settings: { client_sends_per_minute: 3 } });
    const replies = [];
    for (let n = 0; n < 5; n++) replies.push((await askForCode(tenant, { email: `q${n}@example.com` })).status);
    expect(replies).toEqual([204, 204, 204, 429, 429]);
  });

  it("withholds SMS by country and daily budget, silently", async () => {
    const tenant = await createTenant(latchkey, { settings: { sms_daily_budget: 1 } });
    const swede = await addUser(latchkey, tenant.account_id, { phone_number: "+46701234567" });
    expect((await askForCode(tenant, { connection: "sms", phone_number: swede.phone_number })).status).toBe(204);
    expect(await inbox(tenant, swede.phone_number)).toEqual([]);
    expect(await receiveCode(tenant, { connection: "sms", phone_number: tenant.user.phone_number })).toMatch(/-/);
    const second = await addUser(latchkey, tenant.account_id);
    expect((await askForCode(tenant, { connection: "sms", phone_number: second.phone_number })).status).toBe(204);
    expect(await inbox(tenant, second.phone_number)).toEqual([]);
    const audit = await latchkey.server.core.storage.read
      .selectFrom("audit_events")
      .select("context")
      .where("account_id", "=", tenant.account_id)
      .where("outcome", "=", "failure")
      .execute();
    const reasons = audit.map(({ context }) => JSON.parse(context).withheld).sort();
    expect(reasons).toEqual(["country not allowed", "daily budget used up"]);
  });

  it("finds a person for SMS by e-mail too, and nobody by a number that several share", async () => {
    const tenant = await createTenant(latchkey);
    await askForCode(tenant, { connection: "sms", email: tenant.user.email });
    expect(await inbox(tenant, tenant.user.phone_number)).toHaveLength(1);
    await addUser(latchkey, tenant.account_id, { phone_number: "+4745000001" });
    await addUser(latchkey, tenant.account_id, { phone_number: "+4745000001" });
    expect((await askForCode(tenant, { connection: "sms", phone_number: "+4745000001" })).status).toBe(204);
    expect(await inbox(tenant, "+4745000001")).toEqual([]);
  });

  it("signs up unknown people where the client allows it, once", async () => {
    const tenant = await createTenant(latchkey, { client: { signup: true } });
    const code = await receiveCode(tenant, { email: "New.Person@Example.com" });
    const reply = await authorize(tenant, { verification_code: code });
    expect(reply.status).toBe(302);
    const id_token = new URL(reply.headers.get("location") ?? "").searchParams.get("id_token") ?? "";
    const { sub, email } = claimsOf(id_token);
    expect(email).toBe("new.person@example.com");
    const user = await call(`${tenant.base}/customers/users/${sub}`, { token: tenant.token });
    expect(user.body).toMatchObject({ id: sub, email: "new.person@example.com", type: "customer" });
    const closed = await createTenant(latchkey);
    await askForCode(closed, { email: "unknown@example.com" });
    expect(await inbox(closed), "no sign-up, no message").toEqual([]);
  });

  it("says it in the request's or the user's language", async () => {
    const tenant = await createTenant(latchkey);
    const norwegian = await addUser(latchkey, tenant.account_id, { locale: "nb-NO" });
    const asked = await askForCode(tenant, { email: norwegian.email });
    await rewind(tenant, 31);
    await askForCode(tenant, { login_session_id: asked.headers.get("login-session-id") ?? "", email: norwegian.email });
    const subject = "Innloggingskoden din til The Shop";
    expect((await inbox(tenant, norwegian.email)).map((message) => message.subject)).toEqual([subject, subject]);
    await askForCode(tenant, { headers: { "accept-language": "no;q=0.9, fr" } });
    expect((await inbox(tenant, tenant.user.email))[0]?.html).toContain('<html lang="nb">');
    const other = await addUser(latchkey, tenant.account_id, { locale: "nb" });
    await askForCode(tenant, { email: other.email, headers: { "accept-language": "en-GB" } });
    expect((await inbox(tenant, other.email))[0]?.subject).toBe("Your login code for The Shop");
  });

  it("says so of every message: a second factor's, a new password's, a new address's", async () => {
    const tenant = await createTenant(latchkey);
    const { id, email, phone_number } = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const post = async (path: string, json: object) => {
      const headers = { "accept-language": "nb" };
      const { status, text, body } = await call(`${tenant.base}/${path}`, {
        ...{ method: "POST", token: tenant.token, headers, json },
      });
      expect([200, 204], text).toContain(status);
      return body;
    };
    const { audience } = tenant;
    const named = { grant_type: "password", username: email, password: PASSWORD, audience };
    const { mfa_token } = (await token(tenant, named)).body;
    await post("auth/mfa/challenge", { challenge_type: "oob", mfa_token, oob_channel: "sms" });
    await post("auth/mfa/recovery", { challenge_type: "oob", username: email, audience, oob_channel: "sms" });
    const texts = (await inbox(tenant, phone_number)).map(({ text }) => text);
    expect(texts).toHaveLength(2);
    for (const text of texts) expect(text).toContain("er den andre koden din");
    await post("customers/change_password", { email, audience, type: "customer" });
    await post("customers/mfa_login_recovery", { ident_type: "email", ident: email, audience, type: "customer" });
    const value = `new-${id}@example.com`;
    await post(`customers/users/${id}/communication/send-verification-code/email`, { value });
    for (const to of [email, value])
      for (const { html } of await inbox(tenant, to)) expect(html).toContain('<html lang="nb">');
  });

  it("refuses what it cannot read, and clients it may not act for", async () => {
    const tenant = await createTenant(latchkey);
    const rows: [Record<string, unknown>, number, string, string?][] = [
      [{ connection: "fax" }, 400, "invalid_request", "connection"],
      [{ email: "nonsense" }, 400, "invalid_request", "email"],
      [{ email: undefined }, 400, "invalid_request", "email"],
      [{ connection: "sms", email: undefined, phone_number: "12" }, 400, "invalid_request", "phone_number"],
      [{ send: "link" }, 400, "invalid_request", "send"],
      [{ type: "company" }, 400, "invalid_request", "type"],
      [{ client_id: "nobody" }, 403, "unauthorized_client"],
      [{ audience: "https://other.example" }, 403, "unauthorized_client"],
      [{ email: 7 }, 400, "invalid_request", "email"],
      [{ email: "a\u0000b@example.com" }, 400, "invalid_request", "body"],
    ];
    for (const [fields, status, code, path] of rows) {
      const json = {
        connection: "email",
        audience: tenant.audience,
        client_id: tenant.client.client_id,
        email: tenant.user.email,
        ...fields,
      };
      const reply = await call(`${tenant.base}/auth/passwordless`, { method: "POST", token: tenant.token, json });
      expect([reply.status, reply.body.error.code, reply.body.error.errors?.[0].path], JSON.stringify(fields)).toEqual([
        status,
        code,
        path,
      ]);
    }
    const narrow = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, narrow, tenant.issuer, ["write:accounts:/auth/passwordless-email"]);
    const token = await tokenOf(latchkey, tenant.account_id, narrow);
    expect((await askForCode(tenant, { token })).status).toBe(204);
    expect((await askForCode(tenant, { token, connection: "sms" })).body.error.code).toBe("insufficient_scope");
    const minting = {
      method: "POST",
      token,
      json: { audience: tenant.audience, client_id: tenant.client.id, user_id: tenant.user.id },
    };
    expect((await call(`${tenant.base}/auth/passwordless/code`, minting)).status).toBe(403);
  });

  it("mints at most five live codes for one user and client, in parallel too", async () => {
    const tenant = await createTenant(latchkey);
    const json = { audience: tenant.audience, client_id: tenant.client.id, user_id: tenant.user.id };
    const mint = (fields = {}) =>
      call(`${tenant.base}/auth/passwordless/code`, {
        method: "POST",
        token: tenant.token,
        json: { ...json, ...fields },
      });
    const replies = await Promise.all(Array.from({ length: 12 }, () => mint()));
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(5);
    const refused = replies.find(({ status }) => status === 429);
    expect(refused?.body.error.code).toBe("too_many_requests");
    expect(Number(refused?.headers.get("retry-after"))).toBeGreaterThan(500);
    expect((await mint({ user_id: "nobody" })).status).toBe(404);
    const staff = await addUser(latchkey, tenant.account_id, { type: "account_user" });
    expect((await mint({ user_id: staff.id })).status, "never for account users").toBe(404);
    const link = await mintCode(
      { ...tenant, user: await addUser(latchkey, tenant.account_id) },
      { format: "link", reason: "support call 7" },
    );
    expect(link).toMatch(/^[\w-]{43}$/);
  });
});
