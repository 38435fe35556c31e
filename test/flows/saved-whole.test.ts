/** Account users and roles that are saved whole, as pages do it: who loses nothing by it goes on. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { logInAccountUser } from "../support/people.ts";

describeOnBothEngines("an account user or a role", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey, { scope: ["admin:accounts", "admin:customers", "read:orders"] });
  });
  afterAll(() => latchkey.close());

  const send = async (method: string, path: string, json?: object, token = tenant.token) => {
    const reply = await call(`${tenant.base}${path}`, { method, token, ...(json ? { json } : {}) });
    expect(reply.status, reply.text).toBe(200);
    return reply.body;
  };
  const addRole = (name: string, scope: readonly string[]) => send("POST", "/auth/roles", { name, scope });
  const isIn = async (token: string) => (await call(`${tenant.base}/auth/clients`, { token })).status;
  const saved = async (id: string) => {
    const users: { id: string; name?: string; scope: string[]; roles: { id: string }[] }[] = await send(
      "GET",
      "/management/users?expand=roles",
    );
    const user = users.find((one) => one.id === id);
    if (!user) throw new Error("not listed");
    return user;
  };

  it("that is saved with another name leaves its people logged in, and takes scopes back at the next change", async () => {
    const [one, other] = [await addRole("one", ["read:accounts"]), await addRole("other", ["read:orders"])];
    const role_ids = [one.id, other.id];
    const me = await logInAccountUser(latchkey, tenant, { scope: ["read:orders", "read:customers"], role_ids });
    const { name: _name, scope, roles } = await saved(me.id);
    await send("PUT", `/management/users/${me.id}`, {
      name: "Cy",
      scope: scope.toReversed(),
      roles: roles.toReversed(),
    });
    expect((await saved(me.id)).name).toBe("Cy");
    expect(await isIn(me.token), "another name").toBe(200);
    const fields = { scope: one.scope, description: "reads" };
    const renamed = await send("PUT", `/auth/roles/${one.id}`, { name: "readers", ...fields });
    expect(renamed).toMatchObject({ name: "readers", description: "reads" });
    expect((await send("GET", "/auth/roles?name=readers"))[0]).toEqual(renamed);
    expect(await isIn(me.token), "another name of a role").toBe(200);
    await send("DELETE", `/auth/roles/${other.id}`);
    expect(await isIn(me.token), "a role that is gone").toBe(401);
    const again = await logInAccountUser(latchkey, tenant, { scope: ["read:customers"], role_ids: [one.id] });
    await send("PUT", `/auth/roles/${one.id}`, { name: "third", ...fields });
    await send("PUT", `/auth/roles/${one.id}`, { name: "fourth", scope: ["read:orders"] });
    expect(await isIn(again.token), "less in a role").toBe(401);
  });

  it("that loses a scope or a role ends what held it, whatever else is saved with it", async () => {
    const role = await addRole("reads", ["read:accounts"]);
    const changes = [{ scope: ["read:orders"] }, { roles: [] }, { scope: ["read:accounts"], roles: [] }];
    for (const change of changes) {
      const me = await logInAccountUser(latchkey, tenant, { scope: ["read:accounts"], role_ids: [role.id] });
      const before = await saved(me.id);
      const { scope, roles } = { scope: before.scope, roles: before.roles.map(({ id }) => ({ id })), ...change };
      await send("PUT", `/management/users/${me.id}`, { name: "Di", scope, roles });
      expect(await isIn(me.token), JSON.stringify(change)).toBe(401);
    }
  });
});
