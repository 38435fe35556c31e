/** Text that JSON can spell and a database cannot read, said by clients of themselves: no end of a login depends on it. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { until } from "../support/smtp.ts";
import { answered, pkce, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const BACK = "https://agent.example/back";
const jwks = (more: object) => ({ jwks: { keys: [{ kty: "EC", crv: "P-256", x: "AA", y: "AA", ...more }] } });

describeOnBothEngines("text that is not to be stored", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  const documents = new Map<string, object>();
  beforeAll(async () => {
    web = await openReceiver(({ path }) => [200, JSON.stringify(documents.get(path) ?? {})]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey, { scope: ["admin:accounts", "admin:customers"] });
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const describe = (path: string, more: object = {}) => {
    const client_id = `${web.url}${path}`;
    documents.set(path, { client_id, redirect_uris: [BACK], ...more });
    return client_id;
  };
  const ask = (client_id: string) => {
    const about = { client_id, redirect_uri: BACK, response_type: "code", scope: "openid", ...pkce };
    return openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
  };

  it("makes a client's document no metadata, wherever it stands, also of a client that is known", async () => {
    const known = describe("/known.json", { client_name: "Known" });
    expect((await ask(known)).status).toBe(200);
    const hostile: object[] = [
      jwks({ kid: "\0" }),
      jwks({ kid: "\ud800" }),
      jwks({ key_ops: ["verify", "\0"] }),
      jwks({ "\udc00": 1 }),
      { jwks_uri: "https://agent.example/keys\0" },
      { backchannel_logout_uri: "https://agent.example/out\ud800" },
      { client_name: "a\0" },
    ];
    for (const [n, more] of hostile.entries()) {
      const { status, html } = await ask(describe(`/hostile-${n}.json`, more));
      expect([status, html.includes("half of a surrogate pair")], JSON.stringify(more)).toEqual([400, true]);
    }
    describe("/known.json", { client_name: "Changed", ...jwks({ kid: "\0" }) });
    const { storage, directory } = latchkey.server.core;
    const fresh_until = "2020-01-01T00:00:00.000Z";
    await storage.write(
      async ({ db }) => void (await db.updateTable("client_registrations").set({ fresh_until }).execute()),
    );
    expect((await ask(known)).status).toBe(400);
    const { name, settings } = await findClient(directory, tenant.account_id, known);
    expect([name, settings.jwks]).toEqual(["Known", null]);
  });

  it("is refused in the claims parameter", async () => {
    const claims = { id_token: { sub: { value: "\0" } } };
    const standard = standardClient(latchkey, tenant, await addClient(latchkey, tenant.account_id));
    const shown = await openSurfer(latchkey).visit(standard.address(undefined, { claims: JSON.stringify(claims) }));
    expect(answered(shown).get("error_description")).toMatch(/claims must not contain U\+0000/);
  });

  /** Somebody logged in at clients that have kept such text from before, and want to hear of logouts, among others. */
  async function someoneLoggedIn() {
    const { account_id } = tenant;
    const { storage } = latchkey.server.core;
    const person = await addUser(latchkey, account_id);
    const surfer = openSurfer(latchkey);
    const heard: string[] = [];
    for (const kid of ["\0", "\ud800", "fit", "\0", "\0", "fit", "\ud800"]) {
      const path = `/${person.id}/${heard.length}`;
      const uri = `${web.url}${path}`;
      const client = await addClient(latchkey, account_id, { first_party: true, backchannel_logout_uri: uri });
      const standard = standardClient(latchkey, tenant, client);
      const shown = await (heard.length === 0
        ? surfer.logIn(standard.address(), tenant, person.email)
        : surfer.visit(standard.address()));
      expect((await standard.redeem(answered(shown).get("code") ?? "")).status).toBe(200);
      await storage.write(async ({ db }) => {
        const held = db.selectFrom("clients").select("settings").where("id", "=", client.id);
        const settings = { ...JSON.parse((await held.executeTakeFirstOrThrow()).settings), ...jwks({ kid }) };
        await db
          .updateTable("clients")
          .set({ settings: JSON.stringify(settings) })
          .where("id", "=", client.id)
          .execute();
      });
      heard.push(path);
    }
    const told = () =>
      until("all to be told", () => heard.every((path) => web.all.some((one) => one.path === path)) || undefined);
    return { person, surfer, told };
  }

  const administrator = (path: string, method: string, json?: object) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });

  it("keeps nobody from being logged out, given a new password or deleted, where it lies from before", async () => {
    const out = await someoneLoggedIn();
    const endpoint = `${tenant.issuer}/oauth/logout`;
    await out.surfer.visit(endpoint);
    const left = await out.surfer.visit(endpoint, { confirm: "yes" });
    expect([left.status, left.html.includes("You are logged out")]).toEqual([200, true]);
    await out.told();
    const anew = await someoneLoggedIn();
    const href = `/v1/accounts/${tenant.account_id}/customers/users/${anew.person.id}`;
    const links = [{ rel: "customers_user", href }];
    const named = { username: anew.person.email, password: "a new battery", links };
    expect((await administrator("/auth/users", "POST", named)).status).toBe(200);
    await anew.told();
    const gone = await someoneLoggedIn();
    expect((await administrator(`/customers/users/${gone.person.id}`, "DELETE")).status).toBe(200);
    await gone.told();
  });
});
