/** What a command gave a client, another takes away: whole or in part, with all that was issued, at a server that runs. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  call,
  createTenant,
  type Latchkey,
  MASTER_KEY,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { cli } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { type StandardClient, standardClient } from "../support/standard-client.ts";

const API = "https://orders.example";

describeOnBothEngines("grant remove", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let shop: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const grant_types = ["authorization_code", "refresh_token", "client_credentials"] as const;
    shop = await addClient(
      latchkey,
      tenant.account_id,
      { first_party: true, grant_types: [...grant_types] },
      "webshop-one",
    );
    standard = standardClient(latchkey, tenant, shop);
  });
  afterAll(() => latchkey.close());

  const command = (...args: string[]) => {
    const { database_url } = latchkey.database;
    return cli({ DATABASE_URL: database_url, MASTER_KEY, PUBLIC_URL: latchkey.config.public_url }, "grant", ...args);
  };
  const remove = (...args: string[]) => command("remove", tenant.account_id, ...args);
  const give = (audience: string, ...scope: string[]) => addGrant(latchkey, tenant.account_id, shop, audience, scope);
  const logIn = async (scope: string) => {
    const code = await standard.codeFor(shop, { resource: API, scope: `openid offline_access ${scope}` });
    return (await standard.redeem(code)).body;
  };
  const isActive = async (token: string) => {
    const headers = { authorization: basic(shop) };
    return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token } })).body.active;
  };
  const auditOf = async (id: string) => {
    const { read } = latchkey.server.core.storage;
    const events = read.selectFrom("audit_events").select(["action", "actor"]).where("entity", "=", id).orderBy("id");
    return (await events.execute()).map(({ action, actor }) => `${action} ${actor}`);
  };

  it("ends with a grant what was issued by it, and says what it took", async () => {
    const id = await give(API, "orders:read", "orders:write");
    const person = await logIn("orders:read");
    const { body } = await standard.token({ grant_type: "client_credentials", resource: API });
    const issued: string[] = [person.access_token, person.refresh_token, body.access_token];
    expect(await Promise.all(issued.map(isActive))).toEqual([true, true, true]);
    const removed = await remove("webshop-one", "--audience", API);
    expect([removed.code, removed.stderr, removed.stdout.split("\n").slice(0, 5)]).toEqual([
      0,
      "",
      [
        `Grant ${id} is removed`,
        "  client    webshop-one",
        `  audience  ${API}`,
        "  scope     orders:read orders:write",
        "  type      any",
      ],
    ]);
    await until("their end", async () => (await Promise.all(issued.map(isActive))).every((active) => !active));
    const refreshed = await standard.token({ grant_type: "refresh_token", refresh_token: person.refresh_token });
    expect([refreshed.status, refreshed.body.error]).toEqual([400, "invalid_grant"]);
    expect((await standard.token({ grant_type: "client_credentials", resource: API })).status).toBe(400);
    expect(await auditOf(id)).toEqual(["grant.created test", "grant.deleted command line"]);
  });

  it("takes single scopes, and leaves what does not hold them", async () => {
    const id = await give(API, "orders:read", "orders:write", "a,b", "stock:read", "openid");
    const tokenFor = async (scope: string): Promise<string> =>
      (await standard.token({ grant_type: "client_credentials", resource: API, scope })).body.access_token;
    const [reads, writes] = [await tokenFor("orders:read"), await tokenFor("orders:write")];
    const taken = await remove(shop.id, "--audience", API, "--json", "--scope", "orders:write,stock:read", "a,b");
    expect([taken.stderr, JSON.parse(taken.stdout || "{}")]).toEqual([
      "",
      {
        ...{ id, client_id: shop.id, audience: API, type: "any", scope: ["orders:read", "openid"] },
        ...{ removed: false, taken: ["orders:write", "stock:read", "a,b"] },
      },
    ]);
    await until("its end", async () => !(await isActive(writes)));
    expect(await isActive(reads)).toBe(true);
    const refused = await remove(shop.id, "--audience", API, "--scope", "orders:raed");
    expect(refused.stderr).toBe(`--scope orders:raed is not in grant ${id} (did you mean orders:read?).\n`);
    const last = await remove(shop.id, "--audience", API, "--scope", "openid orders:read");
    expect(last.stdout).toContain(`Grant ${id}: without openid orders:read\n`);
    expect(last.stdout).toContain("  scope     (none)\n");
    expect(await auditOf(id)).toEqual(["grant.created test", ...Array(2).fill("grant.changed command line")]);
    const whole = JSON.parse((await remove(shop.id, "--audience", API, "--json")).stdout);
    expect(whole).toEqual({ id, client_id: shop.id, audience: API, type: "any", scope: [], removed: true, taken: [] });
  });

  it("means the account API where none is named, and asks which where there are several", async () => {
    const own = await give(tenant.issuer, "admin:accounts");
    const token = await tokenOf(latchkey, tenant.account_id, shop);
    const password = await addGrant(latchkey, tenant.account_id, shop, tenant.issuer, ["read:accounts"], "password");
    const several = await remove("webshop-one");
    expect(several.stderr).toBe(
      `--audience has several grants: ${own} of type any, ${password} of type password; name one by --type or --id.\n`,
    );
    expect((await remove("webshop-one", "--type", "password")).stdout).toContain(`Grant ${password} is removed`);
    expect((await remove("webshop-one", "--id", own)).stdout).toContain(`Grant ${own} is removed`);
    const settings = () => call(`${tenant.base}/auth/settings`, { token });
    await until("its end", async () => (await settings()).status === 401);
  });

  it("names the client or the API that was meant, and takes nothing", async () => {
    const id = await give(API, "orders:read");
    const list = (name: string) => `latchkey ${name} list ${tenant.account_id}`;
    for (const [said, ...args] of [
      [`There is no client webshpo-one in ${tenant.account_id} (did you mean webshop-one?): `, "webshpo-one"],
      [`There is no client other in ${tenant.account_id}: ${list("client")} says which there are.`, "other"],
      [
        `webshop-one has no grant for https://order.example (did you mean ${API}?): `,
        shop.id,
        "--audience",
        "https://order.example",
      ],
      [`${list("grant")} webshop-one says which there are.`, shop.id, "--audience", "https://stock.example"],
      [`has no grant for ${API} of type password: ${list("grant")}`, shop.id, "--audience", API, "--type", "password"],
    ] as const) {
      const { code, stderr } = await remove(...args);
      expect([code, stderr]).toEqual([1, expect.stringContaining(said)]);
    }
    expect(await auditOf(id)).toEqual(["grant.created test"]);
  });
});
