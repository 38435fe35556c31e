/** An address or number that changes, by whom it may, and what ends with the one before. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openUpstream } from "../support/upstream.ts";

const code = (reply: Reply) => [reply.status, reply.body?.error?.code];

describeOnBothEngines("an address or number that changes", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
  });
  afterAll(() => latchkey.close());

  const change = (tenant: Tenant, id: string, operation: "send" | "confirm", json: object, token: string) =>
    call(`${tenant.base}/customers/users/${id}/communication/${operation}-verification-code/email`, {
      ...{ method: "POST", token, json },
    });

  it("is changed by nobody whom another provider alone has logged in, which counts at its own client", async () => {
    const tenant = await createTenant(latchkey);
    const { client_id, user, issuer, base } = { ...tenant, client_id: tenant.client.client_id };
    const upstream = await openUpstream({ ada: { email: user.email, email_verified: true } });
    const { issuer: authority, ...shown } = upstream;
    const oidc = { client_id: shown.client_id, client_secret: shown.client_secret, authority };
    const grant = { client_id, audience: issuer, scope: ["user:customers"], type: "authorization_code" };
    const trusted = { ...grant, oidc: { ...oidc, trusted_domains: ["example.com"] } };
    expect(
      (await call(`${base}/auth/client-grants`, { method: "POST", token: tenant.token, json: trusted })).status,
    ).toBe(200);
    const about = { grant_type: "authorization_code", client_id, audience: issuer, redirect_uri: CALLBACK };
    const json = { ...about, code: await upstream.logIn("ada") };
    const { access_token } = (await call(`${base}/auth/oidc/token`, { method: "POST", token: tenant.token, json }))
      .body;
    expect(claimsOf(access_token)).toMatchObject({ sub: user.id, amr: [] });
    const value = `mallory-${user.email}`;
    expect(code(await change(tenant, user.id, "send", { value }, access_token))).toEqual([403, "insufficient_scope"]);
    expect(await inbox(tenant, value)).toEqual([]);
    expect((await change(tenant, user.id, "send", { value }, tenant.token)).status, "by the account's own").toBe(204);
    const right = { code: (await inbox(tenant, value))[0]?.verification_code };
    expect(code(await change(tenant, user.id, "confirm", right, access_token))).toEqual([403, "insufficient_scope"]);
    expect((await change(tenant, user.id, "confirm", right, tenant.token)).status).toBe(204);
    await upstream.close();
  });
});
