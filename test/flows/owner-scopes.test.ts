/**
 * What a client of an owner holds in the owner's accounts is of their account APIs, whose scopes only a bearer hands on that
 * holds them: also by a grant that lives in the owner's account and names a merchant.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { code } from "../support/replies.ts";

const refused = [403, "insufficient_scope"];

describeOnBothEngines("an owner's client that administers the owner's account alone", (engine) => {
  let latchkey: Latchkey;
  let owner: Tenant;
  let merchant: Tenant;
  let own: TestClient;
  let token: string;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    owner = await createTenant(latchkey, { account_id: "T21000000", scope: ["admin:accounts", "admin:customers"] });
    merchant = await createTenant(latchkey, { account_id: "T21000001" });
    own = await addClient(latchkey, owner.account_id);
    await addGrant(latchkey, owner.account_id, own, owner.issuer, ["admin:accounts"]);
    token = await tokenOf(latchkey, owner.account_id, own);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object, bearer = token) =>
    call(`${owner.base}${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  const give = (audience: string, scope: string[], bearer = token, client_id = own.id) =>
    send("POST", "/auth/client-grants", { client_id, audience, scope }, bearer);
  /** Every name that a token of an account may be asked for by. */
  const namesOf = ({ issuer }: Tenant, account_id: string) => {
    const { protocol, host } = new URL(issuer);
    const hosts = [`${protocol}//${host}`, "https://api.dintero.com"];
    const withUser = [`https://${account_id}@api.dintero.com`, `https://${account_id}@${host}`];
    return [...hosts, ...withUser].map((base) => `${base}/v1/accounts/${account_id}`);
  };
  /** What the client gets in the merchant. */
  const scopesInside = async (client: TestClient) => {
    const bearer = await tokenOf(latchkey, owner.account_id, client);
    const { account_id, base, issuer: audience } = merchant;
    const exchange = { method: "POST", token: bearer, json: { account_id } };
    const { access_token } = (await call(`${owner.base}/auth/exchange_token`, exchange)).body;
    const json = { grant_type: "client_credentials", audience };
    const reply = await call(`${base}/auth/token`, { method: "POST", token: access_token, json });
    expect(reply.status, reply.text).toBe(200);
    return claimsOf(reply.body.access_token).scope;
  };

  it("gives itself no scope in a merchant, by whatever name of it, also before there is one", async () => {
    for (const account_id of [merchant.account_id, "T21000099"]) {
      for (const audience of namesOf(merchant, account_id)) {
        const reply = await give(audience, ["admin:customers"]);
        expect(code(reply), `${audience} ${reply.text}`).toEqual(refused);
        expect(reply.body.error.message).toContain("admin:customers");
      }
    }
    expect(code(await give(merchant.issuer, ["checkout:admin"])), "one that Latchkey does not know").toEqual(refused);
    expect(await scopesInside(own)).toBe("admin:accounts");
  });

  it("takes over no client that holds more in a merchant", async () => {
    const client = await addClient(latchkey, owner.account_id);
    const grant = await addGrant(latchkey, owner.account_id, client, merchant.issuer, ["admin:customers"]);
    const ways: [string, string, object?][] = [
      ["PATCH", `/auth/client-grants/${grant}`, { scope: [] }],
      ["DELETE", `/auth/client-grants/${grant}`],
      ["POST", `/auth/clients/${client.id}/rotate-secret`],
      ["PATCH", `/auth/clients/${client.id}`, { callbacks: ["https://evil.example/"] }],
      ["DELETE", `/auth/clients/${client.id}`],
    ];
    for (const [method, path, json] of ways) expect(code(await send(method, path, json)), path).toEqual(refused);
    expect(code(await give("https://x.example", ["x:read"], token, client.id))).toEqual(refused);
    for (const [method, path, json] of ways.filter(([method]) => method !== "DELETE"))
      expect((await send(method, path, json, owner.token)).status, path).toBe(200);
    expect((await send("DELETE", `/auth/clients/${client.id}`, undefined, owner.token)).status).toBe(200);
  });

  it("widens no grant for a merchant, and gives none to clients that register themselves", async () => {
    const client = await addClient(latchkey, owner.account_id);
    const grant = await addGrant(latchkey, owner.account_id, client, merchant.issuer, ["read:accounts"]);
    const widened = await send("PATCH", `/auth/client-grants/${grant}`, { scope: ["admin:customers"] });
    expect(code(widened), widened.text).toEqual(refused);
    const public_client_grants = { [merchant.issuer]: ["admin:customers"] };
    expect(code(await send("PATCH", "/auth/settings", { public_client_grants }))).toEqual(refused);
  });

  it("gets nothing by a name that a merchant gave its account API", async () => {
    const opaque = "https://opaque.example";
    const settings = { method: "PATCH", token: merchant.token, json: { api_audiences: [opaque] } };
    expect((await call(`${merchant.base}/auth/settings`, settings)).status).toBe(200);
    expect((await give(opaque, ["admin:customers"])).status, "another API's own affair").toBe(200);
    expect(await scopesInside(own)).toBe("admin:accounts");
  });

  it("hands on in a merchant what it holds, and scopes of other APIs, another owner's accounts among them", async () => {
    const client = await addClient(latchkey, owner.account_id);
    await addGrant(latchkey, owner.account_id, client, owner.issuer, ["admin:accounts"]);
    expect((await give("https://orders.example", ["orders:read"], token, client.id)).status).toBe(200);
    const elsewhere = `${new URL(owner.issuer).origin}/v1/accounts/T21100001`;
    expect((await give(elsewhere, ["orders:read"], token, client.id)).status).toBe(200);
    expect((await give(merchant.issuer, ["read:accounts"], token, client.id)).status).toBe(200);
    expect(await scopesInside(client)).toBe("read:accounts");
    const another = await addClient(latchkey, owner.account_id);
    expect((await give(merchant.issuer, ["read:customers"], owner.token, another.id)).status).toBe(200);
  });
});
