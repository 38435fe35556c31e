/** A partner's client in its merchants' accounts, and applicants who open an account under an owner. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { GrantType } from "../../src/directory/grants/grant.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  askForCode,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  newAccountId,
  receiveCode,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { code } from "../support/replies.ts";
import { codeIn, type Mailbox, openMailbox, until } from "../support/smtp.ts";
import { letPass } from "../support/time.ts";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

describeOnBothEngines("a partner", (engine) => {
  let latchkey: Latchkey;
  let partner: Tenant;
  let merchant: Tenant;
  let mailbox: Mailbox;
  beforeAll(async () => {
    mailbox = await openMailbox();
    await mailbox.start();
    latchkey = await startLatchkey(engine, {
      env: { SMTP_URL: mailbox.url, MAIL_FROM: "Latchkey <login@latchkey.example>" },
    });
    partner = await createTenant(latchkey, {
      account_id: "T11200000",
      scope: ["admin:accounts"],
      settings: { signup: true },
    });
    merchant = await createTenant(latchkey, { account_id: "T11200001" });
    await createTenant(latchkey, { account_id: "T11300001" });
  });
  afterAll(async () => {
    await latchkey.close();
    await mailbox.stop();
  });
  const production = () => createTenant(latchkey, { account_id: newAccountId("P") });

  const exchange = (account_id: string, token = partner.token, base = partner.base) =>
    call(`${base}/auth/exchange_token`, { method: "POST", token, json: { account_id } });
  const redeem = (bearer: string, audience = merchant.issuer, base = merchant.base) =>
    call(`${base}/auth/token`, { method: "POST", token: bearer, json: { grant_type: "client_credentials", audience } });

  it("exchanges its token once for one of its merchant, with the scopes of its own grant", async () => {
    const given = await exchange(merchant.account_id);
    expect(given.body).toMatchObject({ token_type: "Bearer", expires_in: 900 });
    const reply = await redeem(given.body.access_token);
    expect(reply.status, reply.text).toBe(200);
    expect(reply.body.expires_in).toBe(3_600);
    expect(claimsOf(reply.body.access_token)).toMatchObject({
      iss: merchant.issuer,
      aud: merchant.issuer,
      oid: merchant.account_id,
      sub: partner.client.id,
      act: { iss: partner.issuer, sub: partner.client.id },
      scope: "admin:accounts",
    });
    const use = () => call(`${merchant.base}/auth/clients`, { token: reply.body.access_token });
    expect((await use()).status).toBe(200);
    expect(code(await redeem(given.body.access_token))).toEqual([401, "invalid_token"]);
  });

  it("may name the partner's own account as audience, and gets a token for the merchant", async () => {
    const { access_token } = (await exchange(merchant.account_id)).body;
    const reply = await redeem(access_token, partner.issuer);
    expect(claimsOf(reply.body.access_token).aud).toBe(merchant.issuer);
    const other = (await exchange(merchant.account_id)).body.access_token;
    expect(code(await redeem(other, "https://api.shop.example"))).toEqual([403, "unauthorized_client"]);
  });

  it("has in a merchant the scopes of the grant that names it, whichever account it asks for, else of its own", async () => {
    const openClient = async (...grants: [string, string[], GrantType?][]) => {
      const client = await addClient(latchkey, partner.account_id);
      for (const [audience, scope, type = "client_credentials"] of grants)
        await addGrant(latchkey, partner.account_id, client, audience, scope, type);
      return client;
    };
    const scopesIn = async (client: TestClient) => {
      const bearer = await tokenOf(latchkey, partner.account_id, client);
      const asked = [merchant.issuer, partner.issuer].map(async (audience) => {
        const { access_token } = (await exchange(merchant.account_id, bearer)).body;
        const reply = await redeem(access_token, audience);
        return claimsOf(reply.body.access_token).scope;
      });
      return Promise.all(asked);
    };
    const home = partner.issuer;
    const other = await openClient([home, ["read:accounts"]], [merchant.issuer, ["checkout:admin"]]);
    expect(await scopesIn(other)).toEqual(["checkout:admin", "checkout:admin"]);
    const narrow = await openClient([home, ["admin:accounts"]], [merchant.issuer, ["read:accounts"], "any"]);
    expect(await scopesIn(narrow)).toEqual(["read:accounts", "read:accounts"]);
    const people = await openClient([home, ["admin:accounts"]], [merchant.issuer, ["x:read"], "authorization_code"]);
    expect(await scopesIn(people), "one for logins").toEqual(["admin:accounts", "admin:accounts"]);
    const elsewhere = `${merchant.issuer.slice(0, -1)}2`;
    const busy = await openClient([elsewhere, ["checkout:admin"]], [home, ["read:accounts"]]);
    expect(await scopesIn(busy), "one for another merchant").toEqual(["read:accounts", "read:accounts"]);
  });

  it("is refused elsewhere: other owners' accounts, other merchants, other routes, as a merchant", async () => {
    for (const account_id of ["T11300001", "P11200001", "T11200099", "T11200000"])
      expect(code(await exchange(account_id)), account_id).toEqual([403, "access_denied"]);
    expect(code(await exchange("T11200001", merchant.token, merchant.base))).toEqual([400, "invalid_request"]);
    const { access_token } = (await exchange(merchant.account_id)).body;
    const another = await createTenant(latchkey, { account_id: "T11200002" });
    expect(code(await redeem(access_token, another.issuer, another.base))).toEqual([401, "invalid_token"]);
    expect((await call(`${merchant.base}/auth/clients`, { token: access_token })).status).toBe(401);
    expect((await call(`${partner.base}/auth/clients`, { token: access_token })).status).toBe(401);
    expect((await redeem(partner.token)).status).toBe(401);
    expect((await redeem(merchant.token)).status).toBe(401);
    const replies = await Promise.all([1, 2, 3, 4].map(() => redeem(access_token)));
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 401, 401, 401]);
  });

  it("is let in by nobody who holds less than it might there", async () => {
    const { account_id, base, issuer, token } = await createTenant(latchkey, { account_id: "T11200003" });
    const set = (bearer: string, partner_access: boolean) =>
      call(`${base}/auth/settings`, { method: "PATCH", token: bearer, json: { partner_access } });
    for (const scope of ["write:accounts", "admin:accounts"]) {
      const client = await addClient(latchkey, account_id);
      await addGrant(latchkey, account_id, client, issuer, [scope]);
      const bearer = await tokenOf(latchkey, account_id, client);
      for (const as_it_is_or_off of [true, false, false]) expect((await set(bearer, as_it_is_or_off)).status).toBe(200);
      expect(code(await set(bearer, true)), scope).toEqual([403, "insufficient_scope"]);
      expect(code(await exchange(account_id))).toEqual([403, "access_denied"]);
      expect((await set(token, true)).status).toBe(200);
      expect((await exchange(account_id)).status).toBe(200);
    }
  });

  it("stays out where the merchant says so, and stops when its client is deleted", async () => {
    const { access_token } = (await exchange(merchant.account_id)).body;
    const set = (partner_access: boolean) =>
      call(`${merchant.base}/auth/settings`, { method: "PATCH", token: merchant.token, json: { partner_access } });
    const inside = (await redeem((await exchange(merchant.account_id)).body.access_token)).body.access_token;
    const look = () => call(`${merchant.base}/auth/clients`, { token: inside });
    expect((await look()).status).toBe(200);
    await set(false);
    expect((await exchange(merchant.account_id)).status).toBe(403);
    expect((await redeem(access_token)).status).toBe(401);
    expect((await look()).status, "a partner who is in already").toBe(401);
    await set(true);
    expect((await look()).status).toBe(200);
    const client = await addClient(latchkey, partner.account_id);
    await addGrant(latchkey, partner.account_id, client, partner.issuer, ["admin:accounts"], "client_credentials");
    const bearer = await tokenOf(latchkey, partner.account_id, client);
    const out = (await redeem((await exchange(merchant.account_id, bearer)).body.access_token)).body.access_token;
    const left = (await exchange(merchant.account_id, bearer)).body.access_token;
    expect((await call(`${merchant.base}/auth/clients`, { token: out })).status).toBe(200);
    await call(`${partner.base}/auth/clients/${client.id}`, { method: "DELETE", token: partner.token });
    expect((await call(`${merchant.base}/auth/clients`, { token: out })).status).toBe(401);
    expect((await redeem(left)).status).toBe(401);
  });

  it("leaves no token behind that its own was exchanged for", async () => {
    const STOCK = "https://stock.example";
    const type = "urn:ietf:params:oauth:token-type:access_token";
    const resource = await addClient(latchkey, merchant.account_id, {
      resource_for: [merchant.issuer, STOCK],
      grant_types: [EXCHANGE],
    });
    await addGrant(latchkey, merchant.account_id, resource, STOCK, ["admin:accounts"], "client_credentials");
    const client = await addClient(latchkey, partner.account_id);
    await addGrant(latchkey, partner.account_id, client, partner.issuer, ["admin:accounts"], "client_credentials");
    const bearer = await tokenOf(latchkey, partner.account_id, client);
    const inside = (await redeem((await exchange(merchant.account_id, bearer)).body.access_token)).body.access_token;
    const post = (path: string, form: Record<string, string>) =>
      call(`${merchant.base}/oauth/${path}`, { method: "POST", headers: { authorization: basic(resource) }, form });
    const further = () =>
      post("token", { grant_type: EXCHANGE, subject_token: inside, subject_token_type: type, audience: STOCK });
    const { body, text, status } = await further();
    expect(status, text).toBe(200);
    expect(claimsOf(body.access_token).act).toMatchObject({ sub: resource.id, act: { sub: client.id } });
    const isActive = async (token: string) => (await post("introspect", { token })).body.active;
    expect([await isActive(inside), await isActive(body.access_token)]).toEqual([true, true]);
    await call(`${partner.base}/auth/clients/${client.id}`, { method: "DELETE", token: partner.token });
    expect([await isActive(inside), await isActive(body.access_token)]).toEqual([false, false]);
    expect((await further()).body.error).toBe("invalid_request");
  });

  it("logs the merchant's people in with codes that it had sent for the merchant's client, for no longer than a token", async () => {
    const own = await addClient(latchkey, partner.account_id);
    const scope = ["admin:accounts", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, partner.account_id, own, partner.issuer, scope, "client_credentials");
    const bearer = await tokenOf(latchkey, partner.account_id, own);
    const { access_token } = (await exchange(merchant.account_id, bearer)).body;
    const inside = (await redeem(access_token)).body.access_token;
    const { client, user, audience } = merchant;
    const about = { grant_type: "authorization_code", audience };
    const json = { ...about, ident_type: "email", ident: user.email };
    const logIn = (verification_code: string, more: object = {}) =>
      call(`${merchant.base}/auth/token`, {
        method: "POST",
        token: inside,
        json: { ...json, verification_code, ...more },
      });
    const verification_code = await receiveCode(merchant, { token: inside });
    expect(code(await logIn("ABCDE-ABCDE"))).toEqual([400, "invalid_verification_code"]);
    expect(code(await logIn("ABCDE-ABCDE", { ident: "nobody@example.com" }))).toEqual([
      400,
      "invalid_verification_code",
    ]);
    const reply = await logIn(verification_code);
    expect(reply.status, reply.text).toBe(200);
    expect(claimsOf(reply.body.access_token)).toMatchObject({ sub: user.id, client_id: client.client_id });
    expect(claimsOf(inside).scope.split(" ")).toEqual(scope);
    expect(reply.body.refresh_token, "no client of this account could hold it").toBeUndefined();
    const numeric = await mintCode({ ...merchant, token: inside }, { format: "numeric" });
    expect((await logIn(numeric)).status).toBe(200);
  });

  it("is written down in both accounts", async () => {
    const { storage } = latchkey.server.core;
    const rows = await storage.read
      .selectFrom("audit_events")
      .select(["account_id", "action"])
      .where("action", "=", "auth.partner_token")
      .execute();
    expect(new Set(rows.map(({ account_id }) => account_id))).toEqual(new Set(["T11200000", "T11200001"]));
  });

  it("lets an applicant open an account: the code once, then all that they need to begin", async () => {
    const email = "founder@example.com";
    const send = (path: string, options: object) =>
      call(`${partner.base}${path}`, { method: "POST", token: partner.token, ...options });
    const json = {
      email,
      name: "Ada Founder",
      business_name: "Ada's Shop",
      organization_number: "999",
      agreement: { name: "terms", version: "1" },
    };
    expect((await send("/signup", { json })).status).toBe(200);
    const [mail] = await inbox(partner, email);
    expect(mail?.subject).toContain("Finish signing up");
    const verification_code = mail?.verification_code ?? "";
    expect(code(await send("/signup/verify", { query: { verification_code: "7KQM4-X2PVD" } }))).toEqual([
      400,
      "invalid_verification_code",
    ]);
    const query = { verification_code, authorize: "Bearer" };
    const replies = await Promise.all([send("/signup/verify", { query }), send("/signup/verify", { query })]);
    const done = replies.find(({ status }) => status === 200);
    expect(replies.map(({ status }) => status).toSorted()).toEqual([200, 202]);
    expect(done?.body).toMatchObject({ account_id: expect.stringMatching(/^112\d{5}$/), email, token_type: "Bearer" });
    const token = done?.body.access_token;
    const me = await call(`${latchkey.url}/v1/account/user`, { token });
    expect(me.body.accounts[0]).toMatchObject({
      account_id: `T${done?.body.account_id}`,
      business_name: "Ada's Shop",
      organization_number: "999",
      user: { email, agreement: { name: "terms" } },
    });
    const base = `${latchkey.url}/v1/accounts/T${done?.body.account_id}`;
    expect((await call(`${base}/auth/clients`, { token })).status).toBe(200);
    expect((await call(`${base}/auth/settings`, { token })).body.applicant.organization_number).toBe("999");
    const password = { previous_password: done?.body.previous_password_token, proposed_password: "a new battery" };
    expect(
      (await call(`${latchkey.url}/v1/account/user/password`, { method: "POST", token, json: password })).status,
    ).toBe(201);
    const again = { ...password, proposed_password: "a newer battery" };
    expect(
      code(await call(`${latchkey.url}/v1/account/user/password`, { method: "POST", token, json: again })),
      "there is a password before it now",
    ).toEqual([400, "invalid_grant"]);
    const refreshed = { grant_type: "refresh_token", refresh_token: done?.body.refresh_token };
    expect((await call(`${base}/auth/token`, { method: "POST", token, json: refreshed })).status).toBe(200);
    expect(
      code(await call(`${merchant.base}/signup`, { method: "POST", token: merchant.token, json: { email } })),
    ).toEqual([403, "access_denied"]);
  });

  it("opens an account whole or not at all: after a fault the same code is good, and nothing is left behind", async () => {
    const { storage } = latchkey.server.core;
    const owner = await createTenant(latchkey, { account_id: "T11400000", settings: { signup: true } });
    const send = (path: string, options: object) =>
      call(`${owner.base}/signup${path}`, { method: "POST", token: owner.token, ...options });
    const rows = async () => ({
      accounts: await storage.read.selectFrom("accounts").select("name").where("account_id", "like", "T114%").execute(),
      clients: await storage.read.selectFrom("clients").select("id").where("account_id", "like", "T114%").execute(),
      signups: await storage.read.selectFrom("signups").selectAll().where("account_id", "=", "T11400000").execute(),
    });
    const rename = (from: string, to: string) =>
      storage.write((tx) => sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(tx.db));
    const email = "whole@example.com";
    await send("", { json: { email, business_name: "Whole" } });
    const verification_code = (await inbox(owner, email))[0]?.verification_code ?? "";
    const verify = () => send("/verify", { query: { verification_code } });
    const before = await rows();
    // The user is the last row that is written.
    await rename("users", "users_elsewhere");
    const failed = await verify().finally(() => rename("users_elsewhere", "users"));
    expect(code(failed)).toEqual([500, "internal_error"]);
    expect(await rows()).toEqual(before);

    const numbers = sql`with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < 99999)`;
    const named = sql`select 'T114' || substr(cast(100000 + n as text), 2, 5), 'Taken', '{}', '', '', '' from numbers`;
    const into = sql`insert into accounts (account_id, name, settings, created_at, created_by, updated_at)`;
    await storage.write((tx) =>
      (storage.engine === "sqlite" ? sql`${into} ${numbers} ${named}` : sql`${numbers} ${into} ${named}`).execute(
        tx.db,
      ),
    );
    expect(code(await verify())).toEqual([503, "temporarily_unavailable"]);
    await storage.write((tx) => tx.db.deleteFrom("accounts").where("name", "=", "Taken").execute());
    expect(await rows()).toEqual(before);

    const replies = await Promise.all([verify(), verify()]);
    expect(replies.map(({ status }) => status)).toEqual([202, 202]);
    const { accounts, signups } = await rows();
    expect(accounts.map(({ name }) => name).toSorted()).toEqual(["Shop", "Whole"]);
    expect(signups).toMatchObject([{ created_account_id: expect.stringMatching(/^T114\d{5}$/) }]);
  });

  it("lets no applicant open an account an hour late, nor once its owner takes none any more", async () => {
    const send = (method: string, path: string, options: object) =>
      call(`${partner.base}${path}`, { method, token: partner.token, ...options });
    const begin = async (email: string) => {
      expect((await send("POST", "/signup", { json: { email } })).status).toBe(200);
      return (await inbox(partner, email))[0]?.verification_code ?? "";
    };
    const verify = (verification_code: string) => send("POST", "/signup/verify", { query: { verification_code } });
    const take = (signup: boolean) => send("PATCH", "/auth/settings", { json: { signup } });
    const late = await begin("late@example.com");
    await letPass(latchkey, "signups", partner.account_id, 3_601);
    expect(code(await verify(late))).toEqual([400, "invalid_verification_code"]);
    const patient = await begin("patient@example.com");
    await take(false);
    expect(code(await verify(patient))).toEqual([403, "access_denied"]);
    const signups = latchkey.server.core.storage.read
      .selectFrom("signups")
      .where("account_id", "=", partner.account_id);
    const opened = async () =>
      (await signups.where("email", "in", ["late@example.com", "patient@example.com"]).selectAll().execute())
        .filter(({ created_account_id }) => created_account_id !== null)
        .map(({ email }) => email);
    expect(await opened()).toEqual([]);
    await take(true);
    await letPass(latchkey, "signups", partner.account_id, 3_500);
    expect((await verify(patient)).status).toBe(202);
    expect(await opened()).toEqual(["patient@example.com"]);
  });

  it("shows one person all of their accounts, but only after a code was mailed to that very address", async () => {
    const { addAccountUser, logInAccountUser, token } = await import("../support/people.ts");
    const email = "both@example.com";
    const place = (tenant: Tenant) => addAccountUser(latchkey, tenant, { email, scope: ["read:accounts"] });
    const accountsOf = async (token: string) =>
      (await call(`${latchkey.url}/v1/account/user`, { token })).body.accounts
        .map(({ account_id }: { account_id: string }) => account_id)
        .toSorted();
    const [shop, other] = await Promise.all([production(), production()]);
    await place(other);
    const { client } = await place(shop);
    await askForCode(shop, { client, email, audience: shop.issuer });
    const mail = await until(`mail to ${email}`, () =>
      mailbox.mails.findLast(({ to }) => JSON.stringify(to).includes(email)),
    );
    const about = { grant_type: "authorization_code", ident_type: "email", ident: email, audience: shop.issuer };
    const { access_token } = (await token(shop, { ...about, verification_code: codeIn(mail) })).body;
    expect(await accountsOf(access_token)).toEqual([shop.account_id, other.account_id].toSorted());
    expect((await call(`${other.base}/auth/clients`, { token: access_token })).status).toBe(401);
    // What a test account would have mailed is in its sandbox, where whoever runs that account reads it.
    const sandboxed = await logInAccountUser(latchkey, merchant, { email });
    expect(await accountsOf(sandboxed.token)).toEqual([merchant.account_id]);
  });
});
