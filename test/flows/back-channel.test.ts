/** Clients that are told that somebody logged out, and want to hear nothing, or nothing more: nobody goes on telling them. */
import { decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { cacheKey } from "../../src/directory/directory.ts";
import { keysOf } from "../../src/tokens/keys/find-key.ts";
import { rotateKey } from "../../src/tokens/keys/rotate-key.ts";
import { openTokens } from "../../src/tokens/tokens.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
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
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("a client that is told of a logout", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let listener: Receiver;
  let status = 200;
  beforeAll(async () => {
    listener = await openReceiver(() => [status, ""]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await listener.close();
  });

  const heard = (path: string) => listener.all.filter((one) => one.path === path).length;

  /** Somebody logs in to a client that listens at `path`, and is about to log out. */
  async function logIn(path: string) {
    const client = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      backchannel_logout_uri: `${listener.url}${path}`,
    });
    const standard = standardClient(latchkey, tenant, client);
    const surfer = openSurfer(latchkey);
    const shown = await surfer.logIn(standard.address(), tenant, await standard.someone());
    const { id_token } = (await standard.redeem(answered(shown).get("code") ?? "")).body;
    const logOut = () =>
      surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams({ id_token_hint: id_token })}`);
    return { client, logOut };
  }

  async function logOut(path: string) {
    const { client, logOut } = await logIn(path);
    await logOut();
    return client;
  }

  /** Somebody who is logged in to such a client, at an account of its own. */
  async function personAt(settings: Partial<ClientSettings>) {
    const own = await createTenant(latchkey, { scope: ["admin:accounts", "admin:customers"] });
    const client = await addClient(latchkey, own.account_id, { first_party: true, ...settings });
    const standard = standardClient(latchkey, own, client);
    const person = await addUser(latchkey, own.account_id, { type: settings.user_type ?? "customer" });
    const shown = await openSurfer(latchkey).logIn(standard.address(), own, person.email);
    expect((await standard.redeem(answered(shown).get("code") ?? "")).status).toBe(200);
    return { own, person };
  }

  /** What became of the message to this client, once nobody tries to deliver it any more. */
  const fateOf = ({ id }: { id: string }) =>
    until("the end of a message", async () => {
      const rows = await latchkey.server.core.storage.read
        .selectFrom("outbox")
        .select(["state", "attempts", "last_error", "payload"])
        .where("account_id", "=", tenant.account_id)
        .where("kind", "=", "backchannel_logout")
        .execute();
      return rows.find(({ state, payload }) => payload.includes(id) && state !== "pending");
    });

  it("is told once, and not again when it refuses for good", async () => {
    for (const [answer, state] of [
      [204, "sent"],
      [400, "failed"],
    ] as const) {
      status = answer;
      const { attempts, ...fate } = await fateOf(await logOut(`/${answer}`));
      expect([fate.state, Number(attempts), heard(`/${answer}`)]).toEqual([state, 1, 1]);
      expect(fate.last_error).toBe(answer === 400 ? "the client refused it with 400" : null);
    }
  });

  it.each([
    ["is gone", { method: "DELETE" }],
    ["wants to hear nothing more", { method: "PATCH", json: { backchannel_logout_uri: null } }],
  ] as const)("is told again until it listens, unless it %s by then", async (why, change) => {
    const path = `/${change.method}`;
    status = 503;
    const client = await logOut(path);
    await until("the first attempt", () => heard(path) > 0 || undefined);
    const changed = await call(`${tenant.base}/auth/clients/${client.id}`, { ...change, token: tenant.token });
    expect(changed.status, why).toBeLessThan(300);
    const { state, last_error } = await fateOf(client);
    expect([state, last_error]).toEqual(["failed", "the client is gone, or wants to hear nothing more"]);
  });

  it("is told at the address that another process has just set", async () => {
    status = 200;
    const { client, logOut } = await logIn("/before");
    const { directory } = latchkey.server.core;
    const { account_id } = tenant;
    const before = await findClient(directory, account_id, client.id);
    const settings = { backchannel_logout_uri: `${listener.url}/moved` };
    await changeClient(directory, before, { settings }, actor);
    for (const name of [client.client_id, client.id])
      await directory.clients.get(cacheKey(account_id, name), async () => before);
    await logOut();
    const fate = await fateOf(client);
    expect([fate.state, heard("/before"), heard("/moved")]).toEqual(["sent", 0, 1]);
  });

  it("is told by a key that is published, where another process has just given up the one of before", async () => {
    status = 200;
    const { own, person } = await personAt({ backchannel_logout_uri: `${listener.url}/rotated` });
    const { tokens, storage } = latchkey.server.core;
    const elsewhere = openTokens(storage, tokens.master_keys);
    await keysOf(tokens, own.account_id);
    await rotateKey(elsewhere, own.account_id, "RS256", { publication_lead: 0, immediately: true }, storage.now());
    await call(`${own.base}/customers/users/${person.id}`, { method: "DELETE", token: own.token });
    const told = () => listener.all.find(({ path }) => path === "/rotated");
    const { body } = await until("a logout token", told);
    const { kid } = decodeProtectedHeader(new URLSearchParams(body).get("logout_token") ?? "");
    const { keys } = (await call(`${own.issuer}/oauth/jwks.json`)).body;
    expect(keys.map((key: { kid: string }) => key.kid)).toContain(kid);
  });

  it("is told of the end of people who are deleted, which is the end of their logins", async () => {
    status = 200;
    for (const [type, address] of [
      ["customer", "customers/users"],
      ["account_user", "management/users"],
    ] as const) {
      const { own, person } = await personAt({ user_type: type, backchannel_logout_uri: `${listener.url}/${type}` });
      const gone = await call(`${own.base}/${address}/${person.id}`, { method: "DELETE", token: own.token });
      expect(gone.status, gone.text).toBe(200);
      await until("a logout token", () => heard(`/${type}`) > 0 || undefined);
    }
  });
});
