/**
 * Clients that the account did not make, which get refresh tokens without naming offline_access: people are asked for it, and the
 * client is told of no scope but those that it named, since libraries throw a token away that says more.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, pkce, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const BACK = "https://agent.example/back";
const TOOLS = "https://tools.example/mcp";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const LASTING = { redirect_uris: [BACK], grant_types: ["authorization_code", "refresh_token"] };
const STAYS = "stay logged in while you are away";

interface Named {
  readonly client_id: string;
  readonly client_secret?: string;
}

describeOnBothEngines("clients that name no offline_access", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  const documents = new Map<string, object>();
  beforeAll(async () => {
    web = await openReceiver(({ path }) => [documents.has(path) ? 200 : 404, JSON.stringify(documents.get(path))]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    const public_client_grants = { [TOOLS]: ["tools:call", "tools:list"] };
    tenant = await createTenant(latchkey, { settings: { public_client_grants } });
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const register = async (more: object = {}): Promise<Named> => {
    const json = { ...LASTING, token_endpoint_auth_method: "none", ...more };
    const made = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
    expect(made.status, made.text).toBe(201);
    return made.body;
  };
  const described = (): Named => {
    const client_id = `${web.url}/agent.json`;
    documents.set("/agent.json", { client_id, ...LASTING });
    return { client_id };
  };
  const post = (path: string, { client_id, client_secret }: Named, form: Record<string, string>) =>
    call(`${tenant.base}/oauth/${path}`, {
      method: "POST",
      ...(client_secret === undefined ? {} : { headers: { authorization: basic({ client_id, client_secret }) } }),
      form: client_secret === undefined ? { ...form, client_id } : form,
    });
  const refresh = (client: Named, refresh_token: string, more: Record<string, string> = {}) =>
    post("token", client, { grant_type: "refresh_token", refresh_token, ...more });

  /** Up to the page that asks, wherever the login was begun. */
  async function askedAt(url: string, form?: Record<string, string>, surfer = openSurfer(latchkey)) {
    const { email, id } = await addUser(latchkey, tenant.account_id);
    const waiting = await surfer.act(await surfer.visit(url, form), "identify", { identifier: email });
    const [mail] = await inbox(tenant, email);
    return { id, surfer, page: await surfer.act(waiting, "code", { code: mail?.verification_code ?? "" }) };
  }
  const address = ({ client_id }: Named, asked: Record<string, string>) => {
    const about = { client_id, redirect_uri: BACK, response_type: "code", ...pkce, ...asked };
    return `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
  };
  const redeem = async (client: Named, url: string) => {
    const code = answered({ url } as never).get("code") ?? "";
    const form = { grant_type: "authorization_code", code, redirect_uri: BACK, code_verifier: VERIFIER };
    return (await post("token", client, form)).body;
  };

  it.each([
    ["for userinfo", { scope: "openid email" }, "openid email"],
    ["for an API", { scope: "tools:call", resource: TOOLS }, "tools:call"],
    ["for all of an API", { resource: TOOLS }, "tools:call tools:list"],
    ["for nothing by name", {}, ""],
    ["who name it", { scope: "email offline_access" }, "email offline_access"],
  ])("%s: are told of what they named, and refresh it", async (_, asked, scope) => {
    for (const client of [await register(), described()]) {
      const { page, surfer } = await askedAt(address(client, asked));
      expect(page.html).toContain(STAYS);
      const body = await redeem(client, (await surfer.act(page, "allow")).url);
      expect([typeof body.refresh_token, body.scope]).toEqual(["string", scope]);
      expect(claimsOf(body.access_token).scope).toBe(scope);
      const next = (await refresh(client, body.refresh_token)).body;
      expect([typeof next.refresh_token, next.scope, claimsOf(next.access_token).scope]).toEqual([
        ...["string", scope, scope],
      ]);
      const named = await refresh(client, next.refresh_token, scope === "" ? {} : { scope });
      expect([named.status, named.body.scope], named.text).toEqual([200, scope]);
      const again = await redeem(client, (await surfer.visit(address(client, asked))).url);
      expect([typeof again.refresh_token, again.scope], "without a page").toEqual(["string", scope]);
    }
  });

  it("are told the same by introspection and userinfo; what people agreed to names the login that lasts", async () => {
    const client = await register({ token_endpoint_auth_method: "client_secret_basic" });
    const { page, surfer, id } = await askedAt(address(client, { scope: "openid email" }));
    const body = await redeem(client, (await surfer.act(page, "allow")).url);
    for (const token of [body.access_token, body.refresh_token]) {
      const told = (await post("introspect", client, { token })).body;
      expect([told.active, told.scope]).toEqual([true, "openid email"]);
    }
    const about = await call(`${tenant.base}/oauth/userinfo`, { token: body.access_token });
    expect(Object.keys(about.body).toSorted()).toEqual(["email", "email_verified", "sub"]);
    const { directory } = latchkey.server.core;
    const agreed = await directory.storage.read
      .selectFrom("consents")
      .select("scope")
      .where("account_id", "=", tenant.account_id)
      .where("user_id", "=", id)
      .execute();
    expect(agreed.map(({ scope }) => JSON.parse(scope).toSorted())).toEqual([["email", "offline_access", "openid"]]);
  });

  it("by a device are told of what they named, and refresh it", async () => {
    const client = await register({ grant_types: [...LASTING.grant_types, DEVICE] });
    const begun = (await post("device_authorization", client, { scope: "openid email" })).body;
    const { page, surfer } = await askedAt(`${tenant.issuer}/device`, { user_code: begun.user_code });
    expect(page.html).toContain(STAYS);
    await surfer.act(page, "allow");
    const { body } = await post("token", client, { grant_type: DEVICE, device_code: begun.device_code });
    expect([typeof body.refresh_token, body.scope]).toEqual(["string", "openid email"]);
    expect((await refresh(client, body.refresh_token)).body.scope).toBe("openid email");
  });

  it("get none where they may not refresh, whatever they name", async () => {
    const client = await register({ grant_types: ["authorization_code"] });
    const { page, surfer } = await askedAt(address(client, { scope: "openid offline_access" }));
    expect(page.html).not.toContain(STAYS);
    const body = await redeem(client, (await surfer.act(page, "allow")).url);
    expect([body.refresh_token, body.scope]).toEqual([undefined, "openid"]);
  });
});
