/** What people type and get for it (passwords, second factors, tokens that last) is found in no database, log or error reply. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openLogger } from "../../src/telemetry/log.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { findLeaks, readDatabase, readFiles } from "../support/leaks.ts";
import { addPerson, logInAccountUser, oneTimePassword, token } from "../support/people.ts";

describeOnBothEngines("what people know", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  const logs: string[] = [];
  const errors: string[] = [];
  const issued = new Map<string, string>();
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { log: openLogger("trace", { write: (line) => void logs.push(line) }) });
    tenant = await createTenant(latchkey, { account_id: "T99900000", settings: { signup: true } });
  });
  afterAll(() => latchkey.close());

  const note = (what: string, value: string): string => {
    expect(value, what).toBeTruthy();
    issued.set(value, what);
    return value;
  };
  const send = async (method: string, path: string, json: object, bearer = tenant.token): Promise<Reply> => {
    const reply = await call(`${tenant.base}${path}`, { method, token: bearer, json });
    if (reply.status >= 400 && !reply.body?.mfa_token) errors.push(reply.text, JSON.stringify([...reply.headers]));
    return reply;
  };

  it("stays with them", async () => {
    const { audience } = tenant;
    const password = note("password", "correct horse battery staple");
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"], password });
    const wrong = note("wrong password", "Tr0ub4dor-and-3");
    await send("POST", "/auth/token", { grant_type: "password", username: person.email, password: wrong, audience });
    const first = await send("POST", "/auth/token", {
      grant_type: "password",
      username: person.email,
      password,
      audience,
    });
    const mfa_token = note("mfa_token", first.body.mfa_token);
    const challenged = await send("POST", "/auth/mfa/challenge", { challenge_type: "oob", mfa_token });
    const oob_code = note("oob_code", challenged.body.oob_code);
    const [sms] = await inbox(tenant, person.phone_number);
    await send("POST", "/auth/token", { grant_type: "mfa_oob", mfa_token, oob_code, binding_code: "000000" });
    const done = await send("POST", "/auth/token", {
      grant_type: "mfa_oob",
      mfa_token,
      oob_code,
      binding_code: sms?.verification_code,
    });
    const refresh_token = note("refresh token", done.body.refresh_token);
    note("access token", done.body.access_token);
    const second = await send("POST", "/auth/token", { grant_type: "refresh_token", refresh_token });
    note("next refresh token", second.body.refresh_token);
    await send("POST", "/auth/token", { grant_type: "refresh_token", refresh_token: `${refresh_token.slice(0, -1)}_` });
    const chosen = note("password of a user name", "a password of their own");
    await send("POST", "/auth/users", { username: "ada", password: chosen });
    await send("POST", "/auth/users", { username: "ada", password: chosen });
    await send("POST", "/customers/users", {
      email: "pin@example.com",
      password: note("customer's password", "another one of these"),
    });
    await send("POST", "/customers/users", {
      email: "x",
      password: note("password of a refused user", "refused but secret"),
    });

    const me = await logInAccountUser(latchkey, tenant);
    const user = (method: string, path: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user${path}`, { method, token: me.token, ...(json ? { json } : {}) });
    const totp = (await user("POST", "/mfa/totp")).body;
    const seed = note("TOTP secret", totp.secret);
    await user("PUT", "/mfa/totp", { otp: oneTimePassword(seed) });

    await send("POST", "/signup", { email: "new@example.com" });
    const [mail] = await inbox(tenant, "new@example.com");
    const verification_code = note("sign-up code", mail?.verification_code ?? "");
    const opened = await call(`${tenant.base}/signup/verify`, {
      ...{ method: "POST", token: tenant.token },
      query: { verification_code, authorize: "Bearer" },
    });
    note("previous_password_token", opened.body.previous_password_token);
    note("refresh token of a new account", opened.body.refresh_token);
    await createTenant(latchkey, { account_id: "T99900001" });
    const exchange = await send("POST", "/auth/exchange_token", { account_id: "T99900001" });
    const exchanged = note("exchange token", exchange.body.access_token);
    const foreign = await call(`${tenant.base}/auth/token`, {
      method: "POST",
      token: exchanged,
      json: { grant_type: "client_credentials", audience },
    });
    errors.push(foreign.text);

    const places = new Map([
      ["the database", await readDatabase(latchkey.server.core.storage)],
      ["logs", logs.join("\n")],
      ["error replies", errors.join("\n")],
    ]);
    for (const [path, text] of readFiles(latchkey.database)) places.set(path, text);
    const seedBytes = [...seed]
      .map((symbol) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(symbol).toString(2).padStart(5, "0"))
      .join("");
    issued.set(
      Buffer.from((seedBytes.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2))).toString("latin1"),
      "TOTP seed",
    );
    expect(places.get("logs")).toContain("/auth/mfa/challenge");
    expect(issued.size).toBeGreaterThan(15);
    expect(findLeaks(issued, places)).toEqual([]);
    expect((await token(tenant, { grant_type: "password", username: person.email, password, audience })).status).toBe(
      403,
    );
  });
});
