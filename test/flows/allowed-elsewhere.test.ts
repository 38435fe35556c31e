/** What another process has just allowed is good here, though this one still remembers that it was not. */
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import type { AccountSettings } from "../../src/directory/accounts/settings.ts";
import { changeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { cacheKey } from "../../src/directory/directory.ts";
import { changeScope } from "../../src/directory/grants/change-grants.ts";
import { findGrantById } from "../../src/directory/grants/find-grant.ts";
import { grantsOf } from "../../src/directory/grants/grants-of.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addGrant,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { logInAccountUser, token } from "../support/people.ts";
import { answered, pkce, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange" as const;
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code" as const;
const CREDENTIALS = { grant_type: "client_credentials" };
const STOCK = "https://stock.example";
const READ = "orders:read";
const WRITE = "orders:write";

describeOnBothEngines("what another process has just allowed", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  /** This process goes on with what it knew of the account, and of a client. */
  const elsewhere = async (of: Pick<TestClient, "client_id">, change: () => Promise<unknown>): Promise<void> => {
    const { directory } = latchkey.server.core;
    const { account_id } = tenant;
    const account = await findAccount(directory, account_id);
    const client = await findClient(directory, account_id, of.client_id);
    await grantsOf(directory, client);
    const granted = directory.grants.peek(cacheKey(account_id, client.id));
    // Two changes of one millisecond are one.
    await sleep(2);
    await change();
    for (const cache of [directory.accounts, directory.clients, directory.grants]) cache.clear();
    await directory.accounts.get(account_id, async () => account);
    for (const name of [client.client_id, client.id])
      await directory.clients.get(cacheKey(account_id, name), async () => client);
    await directory.grants.get(cacheKey(account_id, client.id), async () => granted);
  };
  const setAccount = (settings: Partial<AccountSettings>) => () =>
    changeSettings(latchkey.server.core.directory, tenant.account_id, settings, actor);
  const setClient = (of: TestClient, settings: Partial<ClientSettings>) => async () => {
    const { directory } = latchkey.server.core;
    return changeClient(directory, await findClient(directory, tenant.account_id, of.client_id), { settings }, actor);
  };
  const give = (grant_id: string, scope: readonly string[]) => async () => {
    const { directory } = latchkey.server.core;
    return changeScope(directory, await findGrantById(directory, tenant.account_id, grant_id), scope, actor);
  };

  const own = async (settings: Partial<ClientSettings> = {}) => {
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, ...settings });
    const grant_id = await addGrant(latchkey, tenant.account_id, client, tenant.audience, [READ]);
    return { client, grant_id, ...standardClient(latchkey, tenant, client) };
  };
  const post = (path: string, form: Readonly<Record<string, string>>, by?: TestClient) =>
    call(`${tenant.base}/${path}`, { method: "POST", form, ...(by ? { headers: { authorization: basic(by) } } : {}) });
  const push = (fields: Readonly<Record<string, string>>, by?: TestClient) =>
    post("oauth/par", { redirect_uri: CALLBACK, response_type: "code", ...pkce, ...fields }, by);
  const register = () => {
    const json = { redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" };
    return call(`${tenant.base}/oauth/register`, { method: "POST", json });
  };
  /** A token that another client would send. */
  const sent = async (): Promise<string> =>
    (await post("oauth/token", { ...CREDENTIALS, ...asking }, tenant.client)).body.access_token;
  const asking = { resource: "https://api.shop.example", scope: WRITE };
  const login = { ...asking, scope: `openid ${WRITE}` };
  const about = { subject_token_type: "urn:ietf:params:oauth:token-type:access_token", audience: STOCK };
  const exchange = { grant_type: EXCHANGE, ...about };

  const allowed: Record<string, readonly [outcome: unknown, () => Promise<unknown>]> = {
    "a scope, at oauth/par": [
      201,
      async () => {
        const { client, grant_id } = await own();
        await elsewhere(client, give(grant_id, [READ, WRITE]));
        return (await push(asking, client)).status;
      },
    ],
    "a scope, while a person logs in": [
      200,
      async () => {
        const { client, grant_id, address } = await own();
        await give(grant_id, [READ, WRITE])();
        const surfer = openSurfer(latchkey);
        const { url } = await surfer.visit(address(client, login));
        await give(grant_id, [READ])();
        await elsewhere(client, give(grant_id, [READ, WRITE]));
        const shown = await surfer.visit(url);
        return answered(shown).get("error") ?? shown.status;
      },
    ],
    "a scope, to a device": [
      200,
      async () => {
        const { client, grant_id } = await own({ grant_types: [DEVICE] });
        await elsewhere(client, give(grant_id, [READ, WRITE]));
        return (await post("oauth/device_authorization", asking, client)).status;
      },
    ],
    "a scope, to the client itself": [
      WRITE,
      async () => {
        const { client, grant_id } = await own();
        await elsewhere(client, give(grant_id, [READ, WRITE]));
        return (await post("oauth/token", { ...CREDENTIALS, ...asking }, client)).body.scope;
      },
    ],
    "a scope, by an exchange": [
      WRITE,
      async () => {
        const { client, grant_id, redeem, codeFor } = await own({ grant_types: ["authorization_code", EXCHANGE] });
        await give(grant_id, [READ, WRITE])();
        const subject_token = (await redeem(await codeFor(client, login))).body.access_token;
        const stock = await addGrant(latchkey, tenant.account_id, client, STOCK, [READ], "client_credentials");
        await elsewhere(client, give(stock, [READ, WRITE]));
        return (await post("oauth/token", { ...exchange, subject_token, scope: WRITE }, client)).body.scope;
      },
    ],
    "a default audience": [
      READ,
      async () => {
        const { client } = await own();
        await elsewhere(client, setClient(client, { default_audience: tenant.audience }));
        return (await post("oauth/token", CREDENTIALS, client)).body.scope;
      },
    ],
    "to know what others' tokens are worth": [
      true,
      async () => {
        const { client } = await own();
        const form = { token: await sent() };
        await elsewhere(client, setClient(client, { resource_for: [tenant.audience] }));
        return (await post("oauth/introspect", form, client)).body.active;
      },
    ],
    "to exchange what others sent": [
      200,
      async () => {
        const { client } = await own({ grant_types: [EXCHANGE] });
        await addGrant(latchkey, tenant.account_id, client, STOCK, [WRITE], "client_credentials");
        const form = { ...exchange, subject_token: await sent() };
        await elsewhere(client, setClient(client, { resource_for: [tenant.audience] }));
        return (await post("oauth/token", form, client)).status;
      },
    ],
    "that nobody is asked for consent": [
      true,
      async () => {
        const { client, grant_id, address } = await own({ first_party: false });
        await give(grant_id, [READ, WRITE])();
        const surfer = openSurfer(latchkey);
        await surfer.logIn(address(client), tenant);
        await elsewhere(client, setClient(client, { first_party: true }));
        const shown = answered(await surfer.visit(address(client, { ...login, prompt: "none" })));
        return shown.get("error") ?? shown.has("code");
      },
    ],
    "that account users act by what a client gets them": [
      200,
      async () => {
        const login = await logInAccountUser(latchkey, tenant, { first_party: false });
        await elsewhere(login.client, setClient(login.client, { first_party: true }));
        return (await token(tenant, { grant_type: "account_user" }, login.token)).status;
      },
    ],
    "the type of user that it logs in, to a login that goes on": [
      200,
      async () => {
        const { client, redeem, codeFor } = await own({ grant_types: ["authorization_code", "refresh_token"] });
        const { refresh_token } = (
          await redeem(await codeFor(client, { ...asking, scope: `openid offline_access ${READ}` }))
        ).body;
        await setClient(client, { user_type: "company" })();
        await elsewhere(client, setClient(client, { user_type: "customer" }));
        return (await post("oauth/token", { grant_type: "refresh_token", refresh_token }, client)).status;
      },
    ],
    "that clients register themselves": [
      201,
      async () => {
        await setAccount({ open_registration: false })();
        await elsewhere(tenant.client, setAccount({ open_registration: true }));
        return (await register()).status;
      },
    ],
    "what clients that registered themselves may ask people for": [
      201,
      async () => {
        await setAccount({ open_registration: true })();
        const { body } = await register();
        await elsewhere(body, setAccount({ public_client_grants: { [tenant.audience]: [READ, WRITE] } }));
        return (await push({ ...asking, client_id: body.client_id })).status;
      },
    ],
  };
  it.each(Object.entries(allowed))("is good here: %s", async (_, [outcome, ask]) => {
    expect(await ask()).toEqual(outcome);
  });

  it("is looked for once a second, and not where nothing is refused", async () => {
    const { client } = await own();
    const directory = ["accounts", "clients", "grants"];
    const ask = (scope: string) => post("oauth/token", { ...CREDENTIALS, ...asking, scope }, client);
    const readsOf = async (scope: string, status: number) => {
      expect((await ask(READ)).status, "so that all of it is known").toBe(200);
      const reads = vi.spyOn(latchkey.server.core.storage.read, "selectFrom");
      const began = performance.now();
      for (let n = 0; n < 20; n++) expect((await ask(scope)).status).toBe(status);
      const seconds = Math.ceil((performance.now() - began) / 1_000);
      const { length } = reads.mock.calls.filter(([table]) => directory.includes(String(table)));
      reads.mockRestore();
      return length / (1 + seconds);
    };
    expect(await readsOf(READ, 200)).toBe(0);
    expect(await readsOf(WRITE, 400)).toBeLessThanOrEqual(directory.length);
  });
});
