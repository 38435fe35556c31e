/** A customer's record: who reads and changes it, and how much of it a person does by themselves. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, logInAccountUser, logInByMail, PASSWORD, personToken, setFactors } from "../support/people.ts";
import { code } from "../support/replies.ts";

const refused = [403, "insufficient_scope"];
const PERSONAL = ["admin:accounts", "admin:customers", "user:customers"];

describeOnBothEngines("a customer's record", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const sender =
    ({ base }: Tenant, token: string) =>
    (method: string, path: string, json?: object) =>
      call(`${base}/customers${path}`, { method, token, ...(json ? { json } : {}) });
  const holding = async ({ account_id, issuer }: Tenant, ...scope: string[]) => {
    const client = await addClient(latchkey, account_id);
    await addGrant(latchkey, account_id, client, issuer, scope);
    return tokenOf(latchkey, account_id, client);
  };
  const rowsOf = async (id: string) => {
    const { read } = latchkey.server.core.storage;
    const passwords = await read.selectFrom("passwords").selectAll().where("user_id", "=", id).execute();
    return [await read.selectFrom("users").selectAll().where("id", "=", id).execute(), passwords];
  };

  it("changes as far as it is named, by who may write customers, and how they are known stays", async () => {
    const tenant = await createTenant(latchkey);
    const send = sender(tenant, await holding(tenant, "write:customers", "read:customers"));
    const ada = { email: "Ada@example.com", first_name: "Ada", last_name: "Example", locale: "nb" };
    const made = (await send("POST", "/users", ada)).body;
    expect(made).toMatchObject({ ...ada, name: "Ada Example" });
    const path = `/users/${made.id}`;
    expect((await send("GET", path)).body).toEqual(made);
    const changed = await send("PUT", path, { last_name: "Berg" });
    expect(changed.body).toMatchObject({ ...ada, last_name: "Berg", name: "Ada Berg" });
    expect(changed.body.updated_at > made.updated_at).toBe(true);
    const whole = (await send("GET", path)).body;
    expect(whole).toEqual(changed.body);
    expect((await send("PUT", path, { ...whole, locale: "sv" })).body).toMatchObject({
      name: "Ada Berg",
      locale: "sv",
    });
    const grace = (await send("PUT", path, { name: "Grace" })).body;
    expect([grace.name, grace.first_name, grace.last_name, grace.locale]).toEqual([
      "Grace",
      undefined,
      undefined,
      "sv",
    ]);
    expect((await send("PUT", path, {})).body.name).toBe("Grace");
    const both = { name: "Dr Hopper", first_name: "Grace", last_name: "Hopper" };
    expect((await send("PUT", path, both)).body).toMatchObject(both);
    expect((await send("PUT", path, { ...both, locale: "nb" })).body, "sent back whole").toMatchObject(both);

    const before = await rowsOf(made.id);
    for (const other of [
      { email: "b@example.com" },
      { phone_number: "+4740111222" },
      { customer_id: "b" },
      { type: "company" },
    ])
      expect(code(await send("PUT", path, { name: "x", ...other }))).toEqual([400, "invalid_request"]);
    for (const secret of [{ pin: "135790" }, { password: PASSWORD }])
      expect(code(await send("PUT", path, { name: "x", ...secret }))).toEqual(refused);
    for (const scope of ["create:customers:/users", "read:customers", "user:customers", "write:accounts"])
      expect(code(await sender(tenant, await holding(tenant, scope))("PUT", path, { name: "x" })), scope).toEqual(
        refused,
      );
    const staff = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
    expect(code(await send("PUT", `/users/${staff.id}`, { name: "x" }))).toEqual([404, "not_found"]);
    expect(await rowsOf(made.id)).toEqual(before);
  });

  it("keeps the name that a change sends along, and of which it has a part", async () => {
    const tenant = await createTenant(latchkey);
    const send = sender(tenant, tenant.token);
    const name = "Anna Berg";
    const made = (await send("POST", "/users", { email: "anna@example.com", name })).body;
    const path = `/users/${made.id}`;
    // As languages write it that have no word for what is left out.
    const whole = { ...made, first_name: "", last_name: "", locale: "sv" };
    expect((await send("PUT", path, whole)).body).toMatchObject({ name, locale: "sv" });
    expect((await send("PUT", path, { first_name: "Anna" })).body).toMatchObject({ name, first_name: "Anna" });
    expect((await send("PUT", path, { ...whole, first_name: "Anna" })).body).toMatchObject({
      name,
      first_name: "Anna",
    });
    expect((await send("PUT", path, { last_name: "Lund" })).body.name).toBe("Anna Lund");
    expect((await send("PUT", path, { name: "", first_name: "Anna", last_name: "Lund" })).body.name).toBe("Anna Lund");
  });

  it("is not written, and nothing noted, where a change changes nothing; a person makes twenty an hour", async () => {
    const tenant = await createTenant(latchkey, { scope: PERSONAL });
    const path = `/users/${tenant.user.id}`;
    const own = sender(tenant, await personToken(tenant));
    const { read } = latchkey.server.core.storage;
    const events = async () => {
      const deeds = read.selectFrom("audit_events").select("id").where("account_id", "=", tenant.account_id);
      return (await deeds.where("action", "=", "user.changed").execute()).length;
    };
    const names = { first_name: "Ada", last_name: "Berg", locale: "nb" };
    const made = (await own("PUT", path, names)).body;
    expect([made.name, await events()]).toEqual(["Ada Berg", 1]);
    const before = await rowsOf(tenant.user.id);
    for (const send of [own, sender(tenant, tenant.token)])
      for (const nothing of [{}, names, made, { locale: "nb" }, { name: "Ada Berg" }])
        for (let n = 0; n < 5; n++) expect((await send("PUT", path, nothing)).status).toBe(200);
    expect([await rowsOf(tenant.user.id), await events()]).toEqual([before, 1]);
    for (let n = 2; n <= 20; n++) expect((await own("PUT", path, { name: `Ada ${n}` })).status, String(n)).toBe(200);
    expect(code(await own("PUT", path, { name: "Ada" }))).toEqual([429, "too_many_requests"]);
    expect(await events()).toBe(20);
    expect((await own("PUT", path, { name: "Ada 20" })).status, "nothing").toBe(200);
    expect((await sender(tenant, tenant.token)("PUT", path, { name: "Ada" })).status, "the account").toBe(200);
  });

  it("goes by the account's own name for them, with any signs in it but spaces around", async () => {
    const tenant = await createTenant(latchkey);
    const send = sender(tenant, tenant.token);
    for (const customer_id of ["Kund 17", "17/3", "a?b#c%d", "é", "x".repeat(128)]) {
      const email = `${Buffer.from(customer_id).toString("hex").slice(0, 30)}@example.com`;
      const made = await send("POST", "/users", { email, customer_id });
      expect(made.status, made.text).toBe(200);
      const path = `/users/${encodeURIComponent(customer_id)}`;
      expect((await send("GET", path)).body).toMatchObject({ id: made.body.id, customer_id });
      expect((await send("PUT", path, { locale: "nb" })).body).toMatchObject({ id: made.body.id, locale: "nb" });
      const named = { username: email, password: PASSWORD };
      const links = [{ rel: "customers_user", href: `https://shop.example/users/${encodeURIComponent(customer_id)}/` }];
      const name = { method: "POST", token: tenant.token, json: { ...named, links } };
      expect((await call(`${tenant.base}/auth/users`, name)).status).toBe(200);
      expect((await send("DELETE", path)).body).toMatchObject({ id: made.body.id, customer_id });
    }
    for (const customer_id of ["", " a", "a ", " ", "\n", "a\nb", "x".repeat(129)])
      expect(code(await send("POST", "/users", { customer_id })), customer_id).toEqual([400, "invalid_request"]);
  });

  it("takes another password or PIN, which ends their logins and what wrong guesses closed", async () => {
    const settings = { factor_guess_limit: 1 };
    const tenant = await createTenant(latchkey, { scope: PERSONAL, settings });
    const user = await addPerson(latchkey, tenant.account_id);
    const token = await personToken({ ...tenant, user: { ...tenant.user, ...user } });
    await setFactors(latchkey, tenant.account_id, user.id, { email: user.email });
    const send = sender(tenant, tenant.token);
    const about = { audience: tenant.audience, type: "customer", ident_type: "email", ident: user.email };
    const logIn = async (secret: string) => code(await send("POST", "/mfa_login", { ...about, secret }))[0];
    expect(await logIn("135790")).toBe(400);
    expect(await logIn(PASSWORD), "closed").toBe(429);
    const path = `/users/${user.id}`;
    expect(code(await send("PUT", path, { pin: "12345" }))).toEqual([400, "invalid_request"]);
    expect((await sender(tenant, token)("GET", path)).status).toBe(200);
    expect((await send("PUT", path, { pin: "135790" })).status).toBe(200);
    expect(code(await sender(tenant, token)("GET", path))).toEqual([401, "invalid_token"]);
    expect(await logIn("135790")).toBe(200);
    expect((await send("PUT", path, { password: "another battery" })).status).toBe(200);
    expect(await logIn("another battery")).toBe(200);
    expect(await logIn("135790"), "the PIN stays").toBe(200);
    expect(await logIn(PASSWORD)).toBe(400);
  });

  it("is read by the person, who changes their name and language, and nothing else in it", async () => {
    const tenant = await createTenant(latchkey, { scope: PERSONAL });
    const { id, email } = tenant.user;
    const send = sender(tenant, await personToken(tenant));
    const path = `/users/${id}`;
    const seen = await send("GET", path);
    expect(seen.body).toMatchObject({ id, customer_id: id, email });
    expect(seen.body).not.toHaveProperty("created_by");
    const changed = await send("PUT", path, { ...seen.body, first_name: "Ada", last_name: "Berg", locale: "nb" });
    expect(changed.body).toMatchObject({ id, name: "Ada Berg", locale: "nb" });
    expect(changed.body).not.toHaveProperty("created_by");
    expect((await sender(tenant, tenant.token)("GET", path)).body).toMatchObject({
      name: "Ada Berg",
      created_by: "test",
    });

    const before = await rowsOf(id);
    for (const secret of [{ pin: "135790" }, { password: PASSWORD }])
      expect(code(await send("PUT", path, { name: "x", ...secret }))).toEqual(refused);
    expect(code(await send("PUT", path, { email: "b@example.com" }))).toEqual([400, "invalid_request"]);
    expect(code(await send("DELETE", path))).toEqual(refused);
    expect(await rowsOf(id)).toEqual(before);
    const other = await addUser(latchkey, tenant.account_id);
    const theirs = await rowsOf(other.id);
    for (const somebody of [other.id, "nobody"]) {
      expect(code(await send("GET", `/users/${somebody}`)), somebody).toEqual(refused);
      expect(code(await send("PUT", `/users/${somebody}`, { name: "x" })), somebody).toEqual(refused);
    }
    expect(await rowsOf(other.id)).toEqual(theirs);
  });

  it("is closed to a client that the person was asked about, and to one without the scope", async () => {
    const tenant = await createTenant(latchkey, { scope: PERSONAL });
    const { account_id, issuer, client, user } = tenant;
    const { storage } = latchkey.server.core;
    const token = await personToken(tenant);
    const agreed = { scope: JSON.stringify(["user:customers"]), granted_at: new Date(storage.now()).toISOString() };
    const row = { account_id, user_id: user.id, client_id: client.id, audience: issuer, ...agreed };
    await storage.write(async ({ db }) => void (await db.insertInto("consents").values(row).execute()));
    const without = await createTenant(latchkey);
    for (const [of, by] of [
      [tenant, token],
      [without, await personToken(without)],
    ] as const) {
      const before = await rowsOf(of.user.id);
      expect(code(await sender(of, by)("GET", `/users/${of.user.id}`))).toEqual(refused);
      expect(code(await sender(of, by)("PUT", `/users/${of.user.id}`, { name: "x" }))).toEqual(refused);
      expect(await rowsOf(of.user.id)).toEqual(before);
    }
  });

  it("is no account user's, who finds none by their own name", async () => {
    const tenant = await createTenant(latchkey);
    const { account_id, issuer } = tenant;
    const client = await addClient(latchkey, account_id, { first_party: true, user_type: "account_user" });
    await addGrant(latchkey, account_id, client, issuer, ["openid", "user:customers"], "authorization_code");
    const { id, email } = await addUser(latchkey, account_id, { type: "account_user" });
    const { access_token } = (await logInByMail(tenant, client, email)).body;
    expect(claimsOf(access_token).scope).toContain("user:customers");
    const send = sender(tenant, access_token);
    const value = `another-${email}`;
    for (const [method, path, json] of [
      ["GET", ""],
      ["PUT", "", { name: "x" }],
      ["POST", "/communication/send-verification-code/email", { value }],
    ] as const)
      expect(code(await send(method, `/users/${id}${path}`, json)), method).toEqual([404, "not_found"]);
    const row = latchkey.server.core.storage.read.selectFrom("users").select(["name", "email"]).where("id", "=", id);
    expect([await row.execute(), await inbox(tenant, value)]).toEqual([[{ name: "Ada Example", email }], []]);
  });
});
