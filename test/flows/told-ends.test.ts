/** Whoever ends a login is in the audit trail, also where reuse ends it: the login ends with its event, or not at all. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  basic,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { type StandardClient, standardClient } from "../support/standard-client.ts";

/** A login that somebody ends. */
interface Ending {
  readonly access_token: string;
  /** @returns the status of the answer. */
  end(): Promise<number>;
  readonly entity: string;
  readonly actor: string;
  readonly reason?: string;
}

describeOnBothEngines("the end of a login is told", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  let thief: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const add = () =>
      addClient(latchkey, tenant.account_id, {
        first_party: true,
        grant_types: ["authorization_code", "refresh_token"],
      });
    [client, thief] = [await add(), await add()];
    await addGrant(latchkey, tenant.account_id, thief, tenant.issuer, []);
    standard = standardClient(latchkey, tenant, client);
  });
  afterAll(() => latchkey.close());

  /** As if the database were lost at the event of a login's end. */
  async function refuseEvents(): Promise<() => Promise<unknown>> {
    const run = (text: string) => latchkey.server.core.storage.write(({ db }) => sql.raw(text).execute(db));
    if (engine === "postgres") {
      await run("alter table audit_events add constraint untold check (action <> 'auth.revoked') not valid");
      return () => run("alter table audit_events drop constraint untold");
    }
    await run(`create trigger untold before insert on audit_events when new.action = 'auth.revoked'
      begin select raise(abort, 'untold'); end`);
    return () => run("drop trigger untold");
  }

  const post = async (path: string, by: TestClient, form: Record<string, string>) => {
    const headers = { authorization: basic(by) };
    return (await call(`${tenant.base}/oauth/${path}`, { method: "POST", headers, form })).status;
  };
  const logIn = async () =>
    (await standard.redeem(await standard.codeFor(client, { scope: "openid offline_access" }))).body;
  const isActive = async (token: string, by: TestClient) => {
    const headers = { authorization: basic(by) };
    return (await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token } })).body.active;
  };

  const ways: readonly [string, () => Promise<Ending>][] = [
    [
      "a refresh token is revoked",
      async () => {
        const { access_token, refresh_token } = await logIn();
        const end = () => post("revoke", client, { token: refresh_token });
        return { access_token, end, entity: claimsOf(access_token).sid, actor: client.id };
      },
    ],
    [
      "an access token is revoked",
      async () => {
        const { access_token } = await logIn();
        const end = () => post("revoke", client, { token: access_token });
        return { access_token, end, entity: claimsOf(access_token).sid, actor: client.id };
      },
    ],
    [
      "another client shows a refresh token",
      async () => {
        const { access_token, refresh_token } = await logIn();
        const end = () => post("token", thief, { grant_type: "refresh_token", refresh_token });
        return { access_token, end, entity: claimsOf(access_token).sid, actor: thief.id, reason: "reuse" };
      },
    ],
    [
      "an authorization code comes again",
      async () => {
        const code = await standard.codeFor();
        const { access_token } = (await standard.redeem(code)).body;
        const end = async () => (await standard.redeem(code)).status;
        return { access_token, end, entity: claimsOf(access_token).sid, actor: client.id, reason: "reuse" };
      },
    ],
    [
      "another client shows a verification code that was used",
      async () => {
        const audience = tenant.issuer;
        const verification_code = await mintCode(tenant, { audience });
        const reply = await authorize(tenant, { verification_code, audience, response_type: "token" });
        const fragment = new URL(reply.headers.get("location") ?? "").hash.slice(1);
        const access_token = new URLSearchParams(fragment).get("access_token") ?? "";
        const end = async () =>
          (await authorize(tenant, { verification_code, audience, client_id: thief.client_id })).status;
        return { access_token, end, entity: claimsOf(access_token).sid, actor: tenant.client.id, reason: "reuse" };
      },
    ],
  ];

  it.each(ways)("when %s, in the same transaction", async (_, begin) => {
    const { access_token, end, entity, actor, reason } = await begin();
    const by = claimsOf(access_token).client_id === tenant.client.client_id ? tenant.client : client;
    const { read } = latchkey.server.core.storage;
    const told = async () => {
      const events = read.selectFrom("audit_events").select(["entity", "actor", "context"]);
      const found = await events.where("action", "=", "auth.revoked").where("entity", "=", entity).execute();
      return found.map(({ context, ...event }) => ({ ...event, reason: JSON.parse(context).reason }));
    };
    expect(await isActive(access_token, by)).toBe(true);
    const mend = await refuseEvents();
    try {
      expect(await end()).toBeGreaterThanOrEqual(500);
    } finally {
      await mend();
    }
    expect(await isActive(access_token, by), "nobody was told").toBe(true);
    await end();
    expect(await isActive(access_token, by)).toBe(false);
    expect(await told()).toEqual([{ entity, actor, reason }]);
  });

  it.each([
    "another client shows an authorization code",
    ...["a refresh token is revoked", "another client shows a verification code that was used"],
  ])("once, however often and by how many at once %s", async (way) => {
    const foreign = async (): Promise<Ending> => {
      const code = await standard.codeFor();
      const { access_token } = (await standard.redeem(code)).body;
      const end = async () => (await standard.redeem(code, thief)).status;
      return { access_token, end, entity: claimsOf(access_token).sid, actor: thief.id, reason: "reuse" };
    };
    const [, begin = foreign] = ways.find(([named]) => named === way) ?? [];
    const { end, entity } = await begin();
    const { read } = latchkey.server.core.storage;
    const told = () =>
      read
        .selectFrom("audit_events")
        .select("id")
        .where("action", "=", "auth.revoked")
        .where("entity", "=", entity)
        .execute();
    await Promise.all(Array.from({ length: 5 }, end));
    expect(await told()).toHaveLength(1);
    await end();
    expect(await told()).toHaveLength(1);
  });
});
