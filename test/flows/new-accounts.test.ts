/** Accounts that applicants open: under owners alone, and once for each code, whatever happens to the answer. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  askForCode,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  newAccountId,
  newOwnerId,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { code } from "../support/replies.ts";
import { answered, pkce } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const authorize = "Bearer";

describeOnBothEngines("a new account", (engine) => {
  let latchkey: Latchkey;
  let owner: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    owner = await createTenant(latchkey, { account_id: newOwnerId(), settings: { signup: true } });
  });
  afterAll(() => latchkey.close());

  const send = ({ base, token }: Tenant, method: string, path: string, options: object) =>
    call(`${base}${path}`, { method, token, ...options });
  const verify = (tenant: Tenant, verification_code: string, more: object = {}) =>
    send(tenant, "POST", "/signup/verify", { query: { verification_code, ...more } });
  let applicants = 0;
  async function apply() {
    applicants += 1;
    const email = `applicant-${applicants}@example.com`;
    expect((await send(owner, "POST", "/signup", { json: { email } })).status).toBe(200);
    return { email, verification_code: (await inbox(owner, email))[0]?.verification_code ?? "" };
  }
  /** Numbers of the accounts that stand under the owner, itself among them. */
  async function accounts(): Promise<string[]> {
    const { read } = latchkey.server.core.storage;
    const like = `${owner.account_id.slice(0, 4)}%`;
    const rows = await read.selectFrom("accounts").select("account_id").where("account_id", "like", like).execute();
    return rows.map(({ account_id }) => account_id);
  }
  const signingKeys = ({ body }: Reply) =>
    latchkey.server.core.storage.read
      .selectFrom("signing_keys")
      .select("kid")
      .where("account_id", "=", `T${body.account_id}`)
      .execute();

  it("is applied for as the API's documents have it too, and answered as they do", async () => {
    const email = "documented@example.com";
    const agreement = { name: "terms", version: "2" };
    const applicant = { email, first_name: "Ada", last_name: "Founder", phone_number: "+4740111222", agreement };
    const company = { business_name: "Ada's Firm", organization_number: "998", address: { country: "NO" } };
    const json = { applicant, company, billing: { period: "monthly" } };
    const begun = await send(owner, "POST", "/signup", { json });
    expect([begun.status, begun.text]).toEqual([202, ""]);
    const verification_code = (await inbox(owner, email))[0]?.verification_code ?? "";
    const done = await verify(owner, verification_code, { authorize });
    expect(done.status, done.text).toBe(200);
    const { account_id, access_token: token } = done.body;
    const me = await call(`${latchkey.url}/v1/account/user`, { token });
    expect(me.body.accounts[0]).toMatchObject({
      ...{ account_id: `T${account_id}`, business_name: "Ada's Firm", organization_number: "998" },
      user: { email, name: "Ada Founder", agreement },
    });
    const settings = await call(`${latchkey.url}/v1/accounts/T${account_id}/auth/settings`, { token });
    expect(settings.body.applicant).toMatchObject(json);
    for (const body of [
      {},
      { applicant, email: 5 },
      { applicant, name: { x: 1 } },
      { applicant, business_name: "x".repeat(201) },
      { applicant, agreement: "x" },
      { applicant: {} },
      { applicant: { email: "x" } },
      { applicant, company: { business_name: 1 } },
    ])
      expect(code(await send(owner, "POST", "/signup", { json: body })), JSON.stringify(body)).toEqual([
        400,
        "invalid_request",
      ]);
    const ours = await send(owner, "POST", "/signup", {
      json: { email: "ours@example.com", company: "a word", applicant: "another" },
    });
    expect([ours.status, ours.body.email]).toEqual([200, "ours@example.com"]);
  });

  it("is opened under no account but an owner, whose own setting it is", async () => {
    const merchant = await createTenant(latchkey, { account_id: `${owner.account_id.slice(0, 4)}00001` });
    const setting = await send(merchant, "PATCH", "/auth/settings", { json: { signup: true } });
    expect([...code(setting), setting.body.error?.errors?.[0]?.path]).toEqual([400, "invalid_request", "signup"]);
    expect((await send(merchant, "PATCH", "/auth/settings", { json: { signup: false } })).status).toBe(200);
    await expect(
      createTenant(latchkey, { account_id: newAccountId(), settings: { signup: true } }),
    ).rejects.toMatchObject({ code: "invalid_request" });

    // One that has it from before.
    const { storage, directory } = latchkey.server.core;
    const settings = JSON.stringify({ signup: true });
    await storage.write(({ db }) =>
      db.updateTable("accounts").set({ settings }).where("account_id", "=", merchant.account_id).execute(),
    );
    directory.accounts.forget(merchant.account_id);
    const begun = await send(merchant, "POST", "/signup", { json: { email: "x@example.com" } });
    expect(code(begun)).toEqual([403, "access_denied"]);
    expect(await inbox(merchant, "x@example.com")).toEqual([]);
    const { verification_code } = await apply();
    expect(code(await verify(merchant, verification_code))).toEqual([403, "access_denied"]);
    expect((await send(merchant, "PATCH", "/auth/settings", { json: { code_lifetime: 90 } })).status).toBe(200);
  });

  it("is mailed to no more addresses a minute than its client may write to, whose logins are counted beside", async () => {
    const settings = { signup: true, client_sends_per_minute: 5 };
    const strict = await createTenant(latchkey, { account_id: newOwnerId(), settings });
    const begin = (email: string) => send(strict, "POST", "/signup", { json: { email } });
    const statuses = [];
    for (let n = 0; n < 6; n++) statuses.push((await begin("same@example.com")).status);
    expect(statuses, "to one address").toEqual([...Array(5).fill(200), 429]);
    await letPass(latchkey, "budgets", strict.account_id, 3_600);
    statuses.length = 0;
    for (let n = 0; n < 7; n++) statuses.push((await begin(`p${n}@example.com`)).status);
    expect(statuses).toEqual([...Array(5).fill(200), 429, 429]);
    expect((await askForCode(strict)).status).toBe(204);
  });

  it("is refused to a source that asks too often, which takes nothing of what other applicants share", async () => {
    const settings = { signup: true, client_sends_per_minute: 5 };
    const strict = await createTenant(latchkey, { account_id: newOwnerId(), settings });
    const begin = async (email: string, address: string) =>
      (await send(strict, "POST", "/signup", { json: { email }, headers: { "end-user-ip": address } })).status;
    const useUp = (budget: string, count: number) =>
      latchkey.server.core.storage.write(({ db }) =>
        db
          .updateTable("budgets")
          .set({ count })
          .where("account_id", "=", strict.account_id)
          .where("budget", "=", budget)
          .execute(),
      );
    expect(await begin("first@example.com", "203.0.113.60")).toBe(200);
    await useUp("send_source", 50);
    for (let n = 0; n < 10; n++) expect(await begin(`made-up-${n}@example.com`, "203.0.113.60")).toBe(429);
    for (let n = 0; n < 6; n++)
      expect(await begin("named@example.com", "203.0.113.60"), "nor of the address").toBe(429);
    expect(await begin("named@example.com", "203.0.113.61")).toBe(200);
    expect(await begin("other@example.com", "203.0.113.61")).toBe(200);
    expect(await begin("sixth@example.com", "2001:db8:7:1::1")).toBe(200);
    await useUp("send_site", 1_000);
    for (let n = 0; n < 10; n++) expect(await begin(`made-up-${n}@example.com`, `2001:db8:7:${n}::1`)).toBe(429);
    expect(await begin("last@example.com", "2001:db8:8:1::1"), "of another IPv6 site").toBe(200);
  });

  it("is named again to whoever repeats its code within the hour, who is let in by it once at most", async () => {
    const { email, verification_code } = await apply();
    const first = await verify(owner, verification_code, { authorize });
    expect([first.status, first.body.access_token]).toEqual([200, expect.any(String)]);
    const { client_id, refresh_token } = first.body;
    const form = { grant_type: "refresh_token", client_id, refresh_token };
    const opened = `${latchkey.url}/v1/accounts/T${first.body.account_id}`;
    expect((await call(`${opened}/oauth/token`, { method: "POST", form })).status, "as its client").toBe(200);
    const before = await accounts();
    const named = { account_id: first.body.account_id, email };
    for (const more of [{}, { authorize }]) {
      const again = await verify(owner, verification_code, more);
      expect([again.status, again.body]).toEqual([202, named]);
    }
    expect(await accounts()).toEqual(before);
    await letPass(latchkey, "signups", owner.account_id, 3_601);
    expect(code(await verify(owner, verification_code))).toEqual([400, "invalid_verification_code"]);
  });

  it("is named to whom a fault kept its tokens from", async () => {
    const { email, verification_code } = await apply();
    const before = await accounts();
    const { storage } = latchkey.server.core;
    const rename = (from: string, to: string) =>
      storage.write((tx) => sql`alter table ${sql.table(from)} rename to ${sql.table(to)}`.execute(tx.db));
    await rename("refresh_families", "families_elsewhere");
    const failed = await verify(owner, verification_code, { authorize }).finally(() =>
      rename("families_elsewhere", "refresh_families"),
    );
    expect(code(failed)).toEqual([500, "internal_error"]);
    const opened = (await accounts()).filter((account_id) => !before.includes(account_id));
    expect(opened).toHaveLength(1);
    const again = await verify(owner, verification_code, { authorize });
    expect([again.status, again.body]).toEqual([202, { account_id: opened[0]?.slice(1), email }]);
  });

  it("has no key for tokens before somebody wants one", async () => {
    const quiet = await verify(owner, (await apply()).verification_code);
    expect(quiet.status).toBe(202);
    expect(await signingKeys(quiet)).toEqual([]);
    const loud = await verify(owner, (await apply()).verification_code, { authorize });
    expect(await signingKeys(loud)).toHaveLength(1);
  });

  it("lets its founder back in once their client has a callback, by the first tokens or the owner's", async () => {
    const at = (account_id: string) => `${latchkey.url}/v1/accounts/T${account_id}`;
    const json = { callbacks: [CALLBACK] };
    const first = (await verify(owner, (await apply()).verification_code, { authorize })).body;
    const { verification_code, email } = await apply();
    const second = (await verify(owner, verification_code)).body;
    const path = { method: "POST", token: owner.token, json: { account_id: `T${second.account_id}` } };
    const { access_token: exchanged } = (await call(`${owner.base}/auth/exchange_token`, path)).body;
    const audience = `${latchkey.config.public_url}/v1/accounts/T${second.account_id}`;
    const form = { grant_type: "client_credentials", audience };
    const owners = (await call(`${at(second.account_id)}/auth/token`, { method: "POST", token: exchanged, form })).body;
    const [client] = (await call(`${at(second.account_id)}/auth/clients`, { token: owners.access_token })).body;
    for (const [account_id, client_id, token] of [
      [first.account_id, first.client_id, first.access_token],
      [second.account_id, client.client_id, owners.access_token],
    ]) {
      const about = { client_id, response_type: "code", scope: "openid", ...pkce };
      const hosted = () =>
        openSurfer(latchkey).visit(`${at(account_id)}/oauth/authorize?${new URLSearchParams(about)}`);
      expect((await hosted()).status).toBe(400);
      const changed = await call(`${at(account_id)}/auth/clients/${client_id}`, { method: "PATCH", token, json });
      expect(changed.status, changed.text).toBe(200);
      const page = await hosted();
      expect([page.status, page.html.includes('value="identify"')]).toEqual([200, true]);
    }
    const issuer = `${latchkey.config.public_url}/v1/accounts/T${second.account_id}`;
    const about = { client_id: client.client_id, response_type: "code", scope: "openid", ...pkce };
    const there = {
      ...owner,
      account_id: `T${second.account_id}`,
      base: at(second.account_id),
      token: owners.access_token,
    };
    const shown = await openSurfer(latchkey).logIn(
      `${issuer}/oauth/authorize?${new URLSearchParams(about)}`,
      there,
      email,
    );
    expect(answered(shown).get("code")).toBeTruthy();
  });
});
