/** What a challenge leads to (RFC 9728 §5.1), which its reader believes where it is of the very address that was asked (§3.3). */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { ATTEMPTS, invented } from "../support/operations.ts";
import { standardClient } from "../support/standard-client.ts";

describeOnBothEngines("the metadata of a protected resource", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const here = (address: string) => address.replace(latchkey.config.public_url, latchkey.url);
  /** `named`: where the challenge leads. */
  const challenge = async (url: string, options: CallOptions = {}) => {
    const { status, headers } = await call(url, options);
    const [, named] = /resource_metadata="([^"]*)"/.exec(headers.get("www-authenticate") ?? "") ?? [];
    return { status, named };
  };

  it("leads from userinfo to what is of its very address, and to a token that is good there (RFC 9728 §3.3)", async () => {
    const asked = `${tenant.issuer}/oauth/userinfo`;
    for (const headers of [{}, { authorization: "Bearer x" }, { authorization: "DPoP x" }]) {
      const { status, named } = await challenge(here(asked), { headers });
      expect(status).toBe(401);
      const metadata = (await call(here(named ?? ""))).body;
      expect(metadata).toMatchObject({ resource: asked, authorization_servers: [tenant.issuer] });
    }
    const client = await addClient(latchkey, tenant.account_id, { first_party: true });
    const standard = standardClient(latchkey, tenant, client);
    const { access_token } = (await standard.redeem(await standard.codeFor(client, { resource: asked }))).body;
    expect((await call(here(asked), { token: access_token })).status).toBe(200);
    const { status, named } = await challenge(here(asked), { token: tenant.token });
    expect([status, named]).toEqual([403, expect.stringContaining("/oauth/userinfo")]);
  });

  it("leads to nothing that would be of another address than the one that was asked", async () => {
    const places = ATTEMPTS.map(({ method, path, options }) => ({
      ...{ method, path: path(invented) },
      ...options?.(invented),
    }));
    const others = ["/oauth/userinfo?x"].map((path) => ({ path, method: "POST" }));
    for (const { path, ...options } of [...places, ...others]) {
      const { status, named } = await challenge(`${tenant.base}${path}`, options);
      expect([status, named], path).toEqual([401, undefined]);
    }
    for (const headers of [{}, { authorization: `Bearer ${tenant.token}` }])
      expect((await challenge(`${latchkey.url}/v1/account/user`, { headers })).named).toBeUndefined();
    const owner = await createTenant(latchkey, { account_id: "T77700000" });
    for (const [id, led] of [
      [owner.account_id, true],
      ["T777", false],
    ] as const) {
      const { status, named } = await challenge(`${latchkey.url}/v1/accounts/${id}/oauth/userinfo`);
      expect([status, named !== undefined], id).toEqual([401, led]);
    }
  });

  it.each(["/auth/x", "/%C3%A5", "/a%20b/100", "/a:b/(c)"])(
    "leads to an address between host and path where the issuer has %s (RFC 9728 §3.1, RFC 8414 §3.1)",
    async (base) => {
      const behind = await startLatchkey(engine, { public_url: `http://localhost:8080${base}` });
      try {
        const path = `/v1/accounts/${(await createTenant(behind)).account_id}`;
        const issuer = `http://localhost:8080${base}${path}`;
        const userinfo = `${path}/oauth/userinfo`;
        const { named } = await challenge(`${behind.url}${userinfo}`);
        const place = `http://localhost:8080/.well-known/oauth-protected-resource${base}${userinfo}`;
        expect(named).toBe(place);
        for (const below of [base, ""]) {
          const at = (document: string) => call(`${behind.url}/.well-known/${document}${below}${path}`);
          expect((await at("oauth-protected-resource")).body).toMatchObject({ resource: issuer });
          const of_userinfo = await call(`${behind.url}/.well-known/oauth-protected-resource${below}${userinfo}`);
          expect(of_userinfo.body).toMatchObject({ resource: `${issuer}/oauth/userinfo` });
          expect((await at("oauth-authorization-server")).body).toMatchObject({ issuer });
        }
        const other = await call(`${behind.url}/.well-known/oauth-authorization-server/auth${path}`);
        expect(other.status).toBe(404);
      } finally {
        await behind.close();
      }
    },
  );
});
