/** An account of many people, roles and grants: what is asked about all of them keeps nobody else waiting. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { sqlitePath } from "../../src/config.ts";
import { mayChange } from "../../src/directory/accounts/check-may-change.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { searchInTurn } from "../../src/directory/directory.ts";
import { pagesOfRoles } from "../../src/directory/roles/find-role.ts";
import { pagesOfAccountUsers } from "../../src/directory/users/list-account-users.ts";
import { openSqliteFile } from "../../src/storage/sqlite/connection.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  askForCode,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";

const [NOW, AGES_AGO] = [new Date().toISOString(), "2020-01-01T00:00:00.000Z"];

describeOnBothEngines("an account with much in it", (engine) => {
  let latchkey: Latchkey;
  const asked: string[] = [];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { onQuery: (text) => void asked.push(text.replaceAll(/\s+/g, " ")) });
  });
  afterAll(() => latchkey.close());

  const send = (own: Tenant, method: string, path: string, json?: object) =>
    call(`${own.base}${path}`, { method, token: own.token, ...(json ? { json } : {}) });

  /** Account users of whom each holds something else, and a role of their own. */
  async function addHolders({ account_id }: Tenant, count: number, profile = "{}") {
    const ids = Array.from({ length: count }, (_, n) => `00000000-0000-7000-8000-${String(n).padStart(12, "0")}`);
    const about = { account_id, created_at: NOW, updated_at: NOW };
    await latchkey.server.core.storage.write(async ({ db }) => {
      const scope = (n: number) => JSON.stringify([`read:accounts:/users/${n}`]);
      const users = ids.map((id, n) => ({ ...about, id, type: "account_user", profile, scope: scope(n) }));
      await db.insertInto("users").values(users).execute();
      const roles = ids.map((id, n) => ({ ...about, id: `role-${id}`, scope: scope(1_000 + n) }));
      await db.insertInto("roles").values(roles).execute();
      const held = ids.map((id) => ({ account_id, user_id: id, role_id: `role-${id}` }));
      await db.insertInto("user_roles").values(held).execute();
    });
  }

  /** Statements of one change that ask what people hold, and the first that holds a row of this table. */
  async function changing(table: string, change: () => Promise<{ readonly status: number; readonly text: string }>) {
    asked.splice(0);
    const { status, text } = await change();
    expect(status, text).toBe(200);
    const people = asked.flatMap((one, at) => (/^select "id", "scope".* from "(users|roles)"/.test(one) ? [at] : []));
    return { people, held: asked.findIndex((one) => one.startsWith(`update "${table}"`)) };
  }

  it("looks at all that its people hold before anything is held, a page at a time", async () => {
    const own = await createTenant(latchkey);
    await addHolders(own, 210, '{"authentication_type":"external"}');
    const staff = await addClient(latchkey, own.account_id, { first_party: true, user_type: "account_user" });
    const jwks = { name: "IdP", uri: "https://idp.example/jwks", issuer: "https://idp.example" };
    for (const [table, path, json] of [
      ["clients", `/auth/clients/${staff.id}`, { name: "other" }],
      ["accounts", "/auth/settings", { jwks }],
    ] as const) {
      const { people, held } = await changing(table, () => send(own, "PATCH", path, json));
      expect(people.length, "five pages of people, and five of roles").toBe(10);
      expect(people.at(-1), path).toBeLessThan(held);
    }
    const lesser = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, lesser, own.issuer, ["admin:accounts"]);
    const token = await tokenOf(latchkey, own.account_id, lesser);
    const patch = (json: object) => call(`${own.base}/auth/clients/${staff.id}`, { method: "PATCH", token, json });
    expect((await patch({ name: "third" })).status, "admin:accounts covers all below it").toBe(200);
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db
        .updateTable("roles")
        .set({ scope: '["admin:customers"]' })
        .where("account_id", "=", own.account_id)
        .where("id", "like", "role-%209")
        .execute(),
    );
    const refused = await patch({ name: "fourth" });
    expect([refused.status, refused.body.error?.code], refused.text).toEqual([403, "insufficient_scope"]);
  });

  it("looks at who has a role many at a time, and once at what many of them hold alike", async () => {
    const own = await createTenant(latchkey);
    const { account_id } = own;
    await addHolders(own, 210);
    const role = (await send(own, "POST", "/auth/roles", { scope: ["read:customers"] })).body;
    const ids = Array.from({ length: 120 }, (_, n) => `10000000-0000-7000-8000-${String(n).padStart(12, "0")}`);
    const about = { account_id, created_at: NOW, updated_at: NOW, type: "account_user", profile: "{}", scope: "[]" };
    await latchkey.server.core.storage.write(async ({ db }) => {
      await db
        .insertInto("users")
        .values(ids.map((id) => ({ ...about, id })))
        .execute();
      const held = ids.map((user_id) => ({ account_id, user_id, role_id: role.id }));
      await db.insertInto("user_roles").values(held).execute();
    });
    asked.splice(0);
    const replaced = await send(own, "PUT", `/auth/roles/${role.id}`, { scope: ["read:customers", "write:customers"] });
    expect(replaced.status, replaced.text).toBe(200);
    const count = (statement: RegExp) => asked.filter((text) => statement.test(text)).length;
    // First what hold all, until that is more than one may hold: of a hundred people.
    expect(count(/^select "user_id", "role_id" from "user_roles" .* in \(/), "three slices").toBe(2 + 3);
    expect(count(/^select "id", "scope" from "users" .*"id" in \(/), "their own scopes").toBe(3);
    expect(count(/^select .* from "roles" .*"id" in \(/), "once for all who have it alone").toBe(2 + 1);
  });

  it("goes from people to the roles that they have, so that one that nobody has costs nothing", async () => {
    const own = await createTenant(latchkey);
    await addHolders(own, 60);
    const { account_id } = own;
    const unheld = Array.from({ length: 60 }, (_, n) => ({
      ...{ account_id, id: `unheld-${n}`, scope: '["admin:customers"]', created_at: NOW, updated_at: NOW },
    }));
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) => db.insertInto("roles").values(unheld).execute());
    const lesser = await addClient(latchkey, account_id);
    await addGrant(latchkey, account_id, lesser, own.issuer, ["admin:accounts"]);
    const token = await tokenOf(latchkey, account_id, lesser);
    asked.splice(0);
    const staff = { first_party: true, user_type: "account_user" };
    const made = await call(`${own.base}/auth/clients`, { method: "POST", token, json: staff });
    expect(made.status, made.text).toBe(200);
    const roles = asked.filter((text) => /from "roles"/.test(text));
    const byId =
      /^select "id", "scope" from "roles" where "account_id" = \S+ and "id" in \([^()]*\) and "deleted_at" is null$/;
    expect(roles).toEqual([expect.stringMatching(byId), expect.stringMatching(byId)]);
    const jwks = { name: "IdP", uri: "https://idp.example/jwks", issuer: "https://idp.example" };
    const set = () => call(`${own.base}/auth/settings`, { method: "PATCH", token, json: { jwks } });
    const give = (user: number, role_id: string) =>
      storage.write(({ db }) =>
        db
          .insertInto("user_roles")
          .values({ account_id, role_id, user_id: `00000000-0000-7000-8000-${String(user).padStart(12, "0")}` })
          .execute(),
      );
    await give(55, "unheld-1");
    expect((await set()).status, "the provider logs in others").toBe(200);
    await storage.write(({ db }) =>
      db
        .updateTable("users")
        .set({ profile: '{"authentication_type":"external"}' })
        .where("account_id", "=", account_id)
        .where("id", "like", "%056")
        .execute(),
    );
    await give(56, "unheld-2");
    expect((await set()).body.error?.code).toBe("insufficient_scope");
  });

  it("lets nobody put two halves together who holds less than its people", async () => {
    const own = await createTenant(latchkey);
    const role = (await send(own, "POST", "/auth/roles", { scope: ["admin:customers"] })).body;
    await send(own, "POST", "/management/users", { email: "ada@corp.example", roles: [{ id: role.id }] });
    const lesser = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, lesser, own.issuer, ["admin:accounts"]);
    const token = await tokenOf(latchkey, own.account_id, lesser);
    const target = await addClient(latchkey, own.account_id);
    const set = (json: object) => call(`${own.base}/auth/clients/${target.id}`, { method: "PATCH", token, json });
    for (let n = 0; n < 5; n++) {
      const both = await Promise.all([set({ user_type: "account_user" }), set({ first_party: true })]);
      const [done, not] = both.map(({ status }) => status).toSorted();
      expect([done, [403, 503].includes(not ?? 0)], both.map(({ text }) => text).join()).toEqual([200, true]);
      expect((await set({ user_type: "customer" })).status).toBe(200);
      expect((await set({ first_party: false })).status).toBe(200);
    }
  });

  async function insertGrants(own: Tenant, audience: string, scopes: readonly (readonly string[])[]) {
    const rows = scopes.map((scope, n) => ({
      ...{ account_id: own.account_id, id: `${audience}-${n}`, client_id: own.client.id, audience, type: "any" },
      ...{ scope: JSON.stringify(scope), created_at: AGES_AGO, updated_at: AGES_AGO },
    }));
    await latchkey.server.core.storage.write(({ db }) => db.insertInto("grants").values(rows).execute());
  }

  it("compares a further name of its API with the grants that name it, a page at a time", async () => {
    const own = await createTenant(latchkey);
    const audience = "urn:other-name";
    const scopes = Array.from({ length: 45 }, (_, n) => [`read:accounts:/${n}`]);
    await insertGrants(own, audience, scopes);
    asked.splice(0);
    const patched = await send(own, "PATCH", "/auth/settings", { api_audiences: [audience] });
    expect(patched.status, patched.text).toBe(200);
    const reads = asked.filter((text) => /^select .* from "grants" .*"audience" in/.test(text));
    const pages = reads.filter((text) => text.includes('"id" >'));
    expect(pages).toHaveLength(3);
    const since = asked.filter((text) => text.includes('"updated_at" >='));
    expect(since).toEqual([expect.stringMatching(/^select "scope" from "grants" .* limit \S+$/)]);
    expect(asked.indexOf(pages.at(-1) ?? "")).toBeLessThan(asked.findIndex((text) => text.startsWith('update "accou')));
  });

  it("compares it also with grants that came while it was looked at those from before", async () => {
    const own = await createTenant(latchkey);
    const { directory, storage } = latchkey.server.core;
    const bearer = { scope: ["admin:accounts"] } as never;
    const change = { api_audiences: ["https://a.example"] };
    const permit = await mayChange(directory, own.account_id, bearer, change);
    const inside = async () => permit(storage.read, await findAccount(directory, own.account_id));
    await inside();
    await insertGrants(own, "https://a.example/", [["admin:customers"]]);
    await inside();
    await expect(mayChange(directory, own.account_id, bearer, change)).rejects.toMatchObject({
      code: "insufficient_scope",
    });
    await addGrant(latchkey, own.account_id, own.client, "https://a.example/", ["admin:payments"], "password");
    await expect(inside()).rejects.toMatchObject({ code: "insufficient_scope" });
    const other = await mayChange(directory, own.account_id, bearer, { api_audiences: [] });
    await other(storage.read, await findAccount(directory, own.account_id));
  });

  it("takes no further name while more of its grants have just changed than are read within a change", async () => {
    const own = await createTenant(latchkey);
    const api_audiences = ["urn:busy"];
    await insertGrants(
      own,
      "urn:busy",
      Array.from({ length: 51 }, (_, n) => [`read:accounts:/${n}`]),
    );
    const touch = (updated_at: string, like: string) =>
      latchkey.server.core.storage.write(({ db }) =>
        db
          .updateTable("grants")
          .set({ updated_at })
          .where("account_id", "=", own.account_id)
          .where("id", "like", like)
          .execute(),
      );
    await touch(new Date().toISOString(), "urn:busy-%");
    const set = () => send(own, "PATCH", "/auth/settings", { api_audiences });
    const busy = await set();
    expect([busy.status, busy.body.error?.code, busy.headers.get("retry-after")]).toEqual([
      503,
      "temporarily_unavailable",
      "30",
    ]);
    await touch(AGES_AGO, "urn:busy-7");
    expect((await set()).status).toBe(200);
  });

  it("reads nothing of roles while it holds whom it gives them", async () => {
    const own = await createTenant(latchkey);
    const roles: object[] = [];
    for (const n of [0, 1]) {
      const { body } = await send(own, "POST", "/auth/roles", { scope: [`read:accounts:/${n}`] });
      roles.push({ id: body.id });
    }
    const within = async (method: string, path: string, json: object) => {
      asked.splice(0);
      const answer = await send(own, method, path, json);
      expect(answer.status, answer.text).toBe(200);
      const held = asked.slice(asked.findIndex((one) => /^(update|insert into) "users"/.test(one)));
      const until = held.findIndex((one) => one.startsWith('insert into "audit_events"'));
      expect(until, "its deed is the last thing").toBeGreaterThan(0);
      const reads = held.slice(0, until).filter((one) => /^select .*"scope".* from "roles"/.test(one));
      expect(reads, method).toEqual([]);
      return answer.body;
    };
    const { id } = await within("POST", "/management/users", { email: "ada@corp.example", roles: [roles[0]] });
    const changed = await within("PUT", `/management/users/${id}?expand=roles`, { roles, scope: ["read:accounts"] });
    expect(changed.roles).toHaveLength(2);
  });

  it("does one search at a time, and lists roles a few at a time", async () => {
    const own = await createTenant(latchkey);
    await addHolders(own, 410);
    const { directory } = latchkey.server.core;
    asked.splice(0);
    const query = { search: "nobody has this", limit: 10 };
    await Promise.all([
      pagesOfRoles(directory, own.account_id, { ...query, include_deleted: false }).next(),
      pagesOfAccountUsers(directory, own.account_id, query).next(),
    ]);
    const looks = asked.flatMap(
      (text) => /^select .* from "(roles|users)" where .* order by "id"/.exec(text)?.[1] ?? [],
    );
    expect(looks).toEqual(["roles", "users"].flatMap((table) => [table, table, table]));
    asked.splice(0);
    const listed = await send(own, "GET", "/auth/roles?limit=12");
    const reads = asked.filter((text) => /^select .*"scope".* from "roles" where/.test(text));
    expect([listed.body.length, reads.length], listed.text.slice(0, 200)).toEqual([12, 3]);
    const found = await send(own, "GET", `/auth/roles?limit=12&search=ROLE-`);
    expect(found.body).toEqual(listed.body);
    const after = await send(own, "GET", `/auth/roles?limit=2&starting_after=${listed.body[9].id}`);
    expect(after.body).toEqual(listed.body.slice(10));
  });

  it("goes on with a list that has begun, whoever searches beside it", async () => {
    const own = await createTenant(latchkey);
    await addHolders(own, 25);
    const { directory, storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db.updateTable("users").set({ name: "Ada" }).where("account_id", "=", own.account_id).execute(),
    );
    const pages = pagesOfAccountUsers(directory, own.account_id, { search: "ada" });
    const found = [...((await pages.next()).value ?? [])];
    let end = () => {};
    const beside = searchInTurn(directory, own.account_id, () => new Promise<void>((resolve) => (end = resolve)));
    for await (const users of pages) found.push(...users);
    end();
    await beside;
    expect(found.map(({ id }) => Number(id.slice(-12)))).toEqual(Array.from({ length: 25 }, (_, n) => n));
  });

  it.runIf(engine === "sqlite")("finds what lives without a look at what was deleted", async () => {
    const own = await createTenant(latchkey);
    asked.splice(0);
    const grant = { client_id: own.client.id, audience: "https://further.example", scope: [] };
    expect((await send(own, "POST", "/auth/client-grants", grant)).status).toBe(200);
    for (const path of ["/auth/roles", "/auth/clients", "/auth/client-grants"])
      expect((await send(own, "GET", path)).status).toBe(200);
    const headers = { origin: latchkey.config.public_url, "content-type": "application/x-www-form-urlencoded" };
    expect((await call(`${own.base}/sandbox`, { method: "POST", headers, raw: "" })).status).toBe(404);
    const file = openSqliteFile(sqlitePath(latchkey.database.database_url));
    const plans = [...new Set(asked)]
      .filter((text) => /^select .* from "(roles|clients|grants)" where .* order by/.test(text))
      .map((text) => String(file.all(`explain query plan ${text.replaceAll("?", "1")}`)[0]?.detail));
    file.close();
    const indexes = ["clients_live", "clients_staff", "grants_live", "grants_of_client", "roles_live"];
    expect(plans.map((plan) => /USING INDEX (\w+)/.exec(plan)?.[1] ?? plan).toSorted()).toEqual(indexes);
  });

  it.runIf(engine === "sqlite")("finds account users, and who verified a number, by indexes of their own", async () => {
    const own = await createTenant(latchkey);
    const { phone_number } = await addUser(latchkey, own.account_id, { phone_number: "+4745000099" });
    asked.splice(0);
    const file = openSqliteFile(sqlitePath(latchkey.database.database_url));
    const plansOf = (statement: RegExp) => {
      const found = [...new Set(asked)].filter((text) => statement.test(text));
      expect(found.length, `${statement}`).toBeGreaterThan(0);
      return found.map((text) =>
        file
          .all(`explain query plan ${text.replaceAll("?", "1")}`)
          .map(({ detail }) => String(detail))
          .filter((detail) => /^SEARCH (users|u|o|grants)\b/.test(detail)),
      );
    };
    expect((await send(own, "GET", "/management/users")).status).toBe(200);
    const staff = { first_party: true, user_type: "account_user" };
    expect((await send(own, "POST", "/auth/clients", staff)).status).toBe(200);
    for (const plan of plansOf(/^select .* from "(users|roles)" where .* order by "id"/))
      expect(plan).toEqual([expect.stringContaining("users_account_users (account_id=? AND type=?")]);
    expect((await askForCode(own, { connection: "sms", phone_number })).status).toBe(204);
    for (const plan of plansOf(/"shared"/))
      for (const detail of plan.slice(0, 2)) expect(detail).toContain("users_verified_phone (");
    expect((await send(own, "PATCH", "/auth/settings", { api_audiences: ["urn:x"] })).status).toBe(200);
    expect(plansOf(/"updated_at" >=/)).toEqual([
      [expect.stringContaining("grants_changed (account_id=? AND deleted_at=? AND updated_at>?)")],
    ]);
    file.close();
  });
});
