/** What a refused bearer learns from `WWW-Authenticate` (RFC 6750 §3, RFC 9728 §5.1): what is missing, and where to get it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";

describeOnBothEngines("a challenge", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const here = (address: string) => address.replace(latchkey.config.public_url, latchkey.url);
  const challenge = async (url: string, headers: Record<string, string> = {}) => {
    const reply = await call(url, { headers });
    const said = reply.headers.get("www-authenticate") ?? "";
    const parts = Object.fromEntries([...said.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, value]) => [name, value]));
    return { status: reply.status, scheme: said.split(" ")[0], parts, message: reply.body.error.message };
  };

  it("names no error where no token was sent, and leads to who may give one", async () => {
    const { status, scheme, parts } = await challenge(`${tenant.base}/auth/clients`);
    expect([status, scheme]).toEqual([401, "Bearer"]);
    expect(Object.keys(parts).sort()).toEqual(["realm", "resource_metadata"]);
    const metadata = await call(here(parts.resource_metadata ?? ""));
    expect(metadata.body).toMatchObject({ resource: tenant.issuer, authorization_servers: [tenant.issuer] });
  });

  it("says that a token is not good, in the words of the reply", async () => {
    for (const authorization of ["Bearer x.y.z", "Basic YTpi", `Bearer ${tenant.token}x`, "Bearer"]) {
      const { status, scheme, parts, message } = await challenge(`${tenant.base}/auth/clients`, { authorization });
      expect([status, scheme, parts.error, parts.error_description], authorization).toEqual([
        ...[401, "Bearer", "invalid_token", message],
      ]);
      expect(parts.resource_metadata).toContain(`/accounts/${tenant.account_id}`);
    }
  });

  it("names the scopes of which one is missing, and the token is good once it has it", async () => {
    const client = await addClient(latchkey, tenant.account_id);
    const grant = (scope: string[]) => addGrant(latchkey, tenant.account_id, client, tenant.issuer, scope);
    await grant(["orders:read"]);
    const weak = { authorization: `Bearer ${await tokenOf(latchkey, tenant.account_id, client)}` };
    const { status, scheme, parts } = await challenge(`${tenant.base}/auth/clients`, weak);
    expect([status, scheme, parts.error]).toEqual([403, "Bearer", "insufficient_scope"]);
    expect(parts.resource_metadata).toContain(`/accounts/${tenant.account_id}`);
    for (const scope of parts.scope?.split(" ") ?? [""]) {
      const able = await addClient(latchkey, tenant.account_id);
      await addGrant(latchkey, tenant.account_id, able, tenant.issuer, [scope]);
      const token = await tokenOf(latchkey, tenant.account_id, able);
      expect((await call(`${tenant.base}/auth/clients`, { token })).status, scope).toBe(200);
    }
  });

  it("leads nowhere where a token names no account", async () => {
    const part = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString("base64url");
    const claims = [
      {},
      null,
      "T00000001",
      { oid: 1 },
      { oid: "X1" },
      { aud: 1 },
      { aud: ["x/accounts/T1", "T12345678x"] },
    ];
    for (const token of [...claims.map((one) => `${part({})}.${part(one)}.AAAA`), "x"]) {
      const { status, parts } = await challenge(`${latchkey.url}/v1/account/user`, {
        authorization: `Bearer ${token}`,
      });
      expect([status, Object.keys(parts).sort()], token).toEqual([401, ["error", "error_description", "realm"]]);
    }
    const named = [{ oid: tenant.account_id }, { aud: tenant.account_id }, { aud: ["x", tenant.issuer] }];
    for (const one of named) {
      const authorization = `Bearer ${part({})}.${part(one)}.AAAA`;
      const { status, parts } = await challenge(`${latchkey.url}/v1/account/user`, { authorization });
      expect([status, parts.error], JSON.stringify(one)).toEqual([401, "invalid_token"]);
      expect(parts.resource_metadata).toContain(`/accounts/${tenant.account_id}`);
    }
  });

  it("is not needed for a scheme in any case, with blanks around the token", async () => {
    for (const authorization of [`bearer ${tenant.token}`, `BEARER   ${tenant.token}  `])
      expect((await call(`${tenant.base}/auth/clients`, { headers: { authorization } })).status).toBe(200);
    for (const authorization of [`Bearer${tenant.token}`, `xBearer ${tenant.token}`, `Bearer ${tenant.token} x`])
      expect((await call(`${tenant.base}/auth/clients`, { headers: { authorization } })).status).toBe(401);
  });
});
