/** Account users hold, by themselves and by roles, as much as their tokens can name, whoever gives it and how. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeInTurn, giveInTurn } from "../../src/directory/directory.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, type Latchkey, type Reply, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { addAccountUser, logInByMail } from "../support/people.ts";

const fault = ({ status, body }: Reply) => [status, body.error?.code, body.error?.errors?.[0]?.path];
const message = ({ body }: Reply) => body.error?.message;

describeOnBothEngines("an account user who would hold too much", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const scopes = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, n) => `read:accounts:/shelves/${from + n}`);
  const send = (method: string, path: string, json?: object) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });
  const addRole = async (from: number, to: number): Promise<{ id: string }> => {
    const { body } = await send("POST", "/auth/roles", { scope: scopes(from, to) });
    return { id: body.id };
  };
  const held = async (id: string) => {
    const users = (await send("GET", "/management/users?expand=roles")).body as {
      id: string;
      scope: string[];
      roles: { scope: string[] }[];
    }[];
    const user = users.find((one) => one.id === id);
    return new Set([...(user?.scope ?? []), ...(user?.roles ?? []).flatMap(({ scope }) => scope)]).size;
  };

  it("gets no role, scope or user of their own beyond 200, and logs in with as many", async () => {
    const roles = [await addRole(0, 150), await addRole(100, 200)];
    const { id, email, client } = await addAccountUser(latchkey, tenant);
    const change = (json: object) => send("PUT", `/management/users/${id}`, json);
    expect((await change({ roles, scope: scopes(50, 60) })).status).toBe(200);
    const one_more = [...roles, await addRole(200, 201)];
    for (const json of [{ roles: one_more }, { scope: scopes(200, 201) }, { roles, scope: scopes(199, 201) }]) {
      const refused = await change(json);
      expect(fault(refused)).toEqual([400, "invalid_request", "roles"]);
      expect(message(refused)).toContain("give 201 different scopes");
    }
    expect(await held(id), "as before").toBe(200);
    const person = { email: "new@example.com", roles: one_more };
    expect(fault(await send("POST", "/management/users", person))).toEqual([400, "invalid_request", "roles"]);
    expect((await send("POST", "/management/users", { ...person, roles })).status, "nobody was made").toBe(200);
    const { access_token } = (await logInByMail(tenant, client, email)).body;
    const me = await call(`${latchkey.url}/v1/account/user`, { token: access_token });
    expect(me.status, me.text).toBe(200);
  });

  it("gets nothing beyond that by a role that they have", async () => {
    const [role, other] = [await addRole(0, 150), await addRole(150, 190)];
    const user = await send("POST", "/management/users", {
      email: "holder@example.com",
      roles: [role, other],
      scope: scopes(190, 199),
    });
    const replace = (scope: readonly string[]) => send("PUT", `/auth/roles/${other.id}`, { scope });
    expect((await replace(scopes(140, 200))).status).toBe(200);
    const refused = await replace(scopes(150, 201));
    expect(fault(refused)).toEqual([400, "invalid_request", "scope"]);
    expect(message(refused)).toContain(`the user ${user.body.id} 201 different scopes`);
    expect(await held(user.body.id)).toBe(200);
    expect((await replace(scopes(300, 341))).status, "others in their place").toBe(200);
    expect((await send("DELETE", `/management/users/${user.body.id}`)).status).toBe(200);
    expect((await replace(scopes(150, 201))).status, "nobody has it").toBe(200);
  });

  it("gets no more by roles that grow at once, or beside what they are given", async () => {
    const roles = await Promise.all(Array.from({ length: 10 }, (_, n) => addRole(n, n + 1)));
    const { id } = (await send("POST", "/management/users", { email: "grown@example.com", roles })).body;
    const grow = ({ id }: { id: string }, n: number) =>
      send("PUT", `/auth/roles/${id}`, { scope: scopes(1_000 * n, 1_000 * n + 150) });
    const change = (json: object) => send("PUT", `/management/users/${id}`, json);
    expect((await Promise.all(roles.map(grow))).filter(({ status }) => status === 200)).toHaveLength(1);
    expect(await held(id)).toBeLessThanOrEqual(200);
    for (let n = 20; n < 26; n++) {
      expect((await change({ roles: [], scope: [] })).status).toBe(200);
      const role = await addRole(0, 1);
      await Promise.all([grow(role, n), change({ roles: [role] }), change({ scope: scopes(0, 150) })]);
      expect(await held(id)).toBeLessThanOrEqual(200);
    }
  });

  it("waits for roles that change alone, and not where they are new and have no role", async () => {
    const { directory } = latchkey.server.core;
    const { account_id } = tenant;
    const role = await addRole(0, 1);
    const { id } = await addAccountUser(latchkey, tenant);
    const give = () => send("PUT", `/management/users/${id}`, { roles: [role] });
    const open: (() => void)[] = [];
    const until_open = () => new Promise<void>((resolve) => void open.push(resolve));
    const looking = directory.inTurn(account_id, until_open);
    const others = giveInTurn(directory, account_id, undefined, until_open);
    expect((await give()).status, "while what everybody holds is looked through, and others are given something").toBe(
      200,
    );
    const changing = changeInTurn(directory, account_id, until_open);
    const person = { email: "free@example.com", scope: scopes(0, 1), roles: [] };
    expect((await send("POST", "/management/users", person)).status).toBe(200);
    const given = give();
    while (open.length < 3) {
      for (const resolve of open) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await Promise.race([given, new Promise((resolve) => setTimeout(resolve, 200, "waits"))])).toBe("waits");
    for (const resolve of open) resolve();
    expect((await given).status).toBe(200);
    await Promise.all([looking, others, changing]);
  });

  it("is one of many who move in at once, with their roles", async () => {
    const own = await createTenant(latchkey);
    const asTheirs = (path: string, json: object) =>
      call(`${own.base}${path}`, { method: "POST", token: own.token, json });
    const { id } = (await asTheirs("/auth/roles", { scope: scopes(0, 1) })).body;
    const move = (n: number) => asTheirs("/management/users", { email: `${n}@example.com`, roles: [{ id }] });
    const moved = await Promise.all(Array.from({ length: 150 }, (_, n) => move(n)));
    expect(moved.filter(({ status }) => status !== 200).map(({ text }) => text)).toEqual([]);
  });

  it("who held more before may hold less", async () => {
    const roles = [await addRole(0, 150), await addRole(150, 250), await addRole(250, 260)];
    const { id } = await addAccountUser(latchkey, tenant);
    const rows = roles.map((role) => ({ account_id: tenant.account_id, user_id: id, role_id: role.id }));
    await latchkey.server.core.storage.write(({ db }) => db.insertInto("user_roles").values(rows).execute());
    const set = async (given: readonly object[]) =>
      (await send("PUT", `/management/users/${id}`, { roles: given })).status;
    expect([await held(id), await set(roles.slice(0, 2)), await held(id)]).toEqual([260, 200, 250]);
    expect(await set(roles)).toBe(400);
  });
});
