/** Paths of the account API name a client by its id: who may know is told it. */
import { expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, call, createTenant, startLatchkey, tokenOf } from "../support/latchkey.ts";

describeOnBothEngines("a client that is asked for by its client_id", (engine) => {
  it("is not found, and whoever may read clients is told its id", async () => {
    const latchkey = await startLatchkey(engine);
    const tenant = await createTenant(latchkey);
    const { id } = await addClient(latchkey, tenant.account_id, {}, "by-name");
    const bearerWith = async (scope: string) => {
      const client = await addClient(latchkey, tenant.account_id);
      await addGrant(latchkey, tenant.account_id, client, tenant.issuer, [scope]);
      return tokenOf(latchkey, tenant.account_id, client);
    };
    const [reader, writer] = [await bearerWith("read:accounts"), await bearerWith("write:accounts")];
    const told = `A client is asked for by its id, which is ${id} here.`;
    const nothing = "There is no such client.";
    for (const [said, method, path, token] of [
      [told, "GET", "by-name", reader],
      [told, "PATCH", "by-name", tenant.token],
      [told, "DELETE", "by-name", tenant.token],
      [told, "POST", "by-name/rotate-secret", tenant.token],
      [nothing, "PATCH", "by-name", writer],
      [nothing, "GET", "no-such", reader],
    ] as const) {
      const json = method === "PATCH" ? { name: "x" } : undefined;
      const asked = `${tenant.base}/auth/clients/${path}`;
      const { status, body } = await call(asked, { method, token, ...(json ? { json } : {}) });
      expect([status, body.error.message], `${method} ${path}`).toEqual([404, said]);
    }
    expect((await call(`${tenant.base}/auth/clients/${id}`, { token: reader })).status).toBe(200);
    await latchkey.close();
  });
});
