/** Clients that registered themselves: who stays because it is used, and what goes with the one that nobody uses. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Client } from "../../src/directory/clients/client.ts";
import { createClient } from "../../src/directory/clients/create-client.ts";
import { newestConsents, recordConsent } from "../../src/oauth/consents/consent.ts";
import type { Oauth } from "../../src/oauth/oauth.ts";
import { removeRegistered } from "../../src/oauth/registration/manage-registered.ts";
import { KEPT } from "../../src/oauth/registration/registration.ts";
import { updateUsedAt, upsertRegistration } from "../../src/oauth/registration/store.ts";
import { registrationSweep } from "../../src/oauth/registration/sweep.ts";
import { reveal } from "../../src/secrets/secret.ts";
import { instant, type Transaction } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addGrant,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";
import { letPass } from "../support/time.ts";

const API = "https://api.agents.example";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const OLD = KEPT + 60_000;
const ALL_OF_IT = { audience: "", scope: [], host: "" };

describeOnBothEngines("unused clients", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const directory = () => latchkey.server.core.directory;
  const db = () => directory().storage.read;

  async function addUnused() {
    const { account_id } = tenant;
    const grant_types = ["client_credentials", EXCHANGE] as const;
    const input = { name: "An Agent", origin: "dynamic" as const, settings: { grant_types: [...grant_types] } };
    const { client, client_secret } = await createClient(directory(), account_id, input, actor);
    const used = directory().storage.now() - OLD;
    const times = { fresh_until: null, used_at: instant(used), expires_at: instant(used + KEPT) };
    const row = { account_id, client_id: client.id, token_digest: Buffer.alloc(32), ...times };
    await directory().storage.write((tx) => upsertRegistration(tx.db, row));
    await addGrant(latchkey, account_id, client, API, ["read"]);
    return { client, secret: client_secret === null ? "" : reveal(client_secret) };
  }

  const sweep = () => registrationSweep(directory()).sweep(directory().storage, 100);
  const ask = ({ client, secret }: { client: Client; secret: string }, form: Record<string, string>) =>
    call(`${tenant.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic({ client_id: client.client_id, client_secret: secret }) },
      form: { audience: API, ...form },
    });
  const isKept = async ({ id }: Client) =>
    (await db().selectFrom("clients").select("id").where("id", "=", id).execute()).length === 1;

  it("stay when they ask for tokens of their own", async () => {
    const agent = await addUnused();
    const issued = await ask(agent, { grant_type: "client_credentials" });
    expect(issued.status, issued.text).toBe(200);
    await sweep();
    expect(await isKept(agent.client)).toBe(true);
  });

  it("stay for thirty days after they were last used, at whichever hour of the day that is noted once", async () => {
    const agent = await addUnused();
    const pass = (hours: number) => letPass(latchkey, "client_registrations", tenant.account_id, hours * 3_600);
    const use = async () => expect((await ask(agent, { grant_type: "client_credentials" })).status).toBe(200);
    await use();
    await pass(23);
    await use();
    await pass(30 * 24 - 1);
    await sweep();
    expect(await isKept(agent.client)).toBe(true);
    await pass(26);
    await sweep();
    expect(await isKept(agent.client)).toBe(false);
  });

  it("wait anew from each use that is noted, however lately they came", async () => {
    const agent = await addUnused();
    const untried_since = instant(directory().storage.now() - 29 * 60_000);
    await directory().storage.write(
      async ({ db }) =>
        void (await db.updateTable("clients").set({ untried_since }).where("id", "=", agent.client.id).execute()),
    );
    const waitsSince = async () => {
      const clients = db().selectFrom("clients").select("untried_since").where("id", "=", agent.client.id);
      return (await clients.executeTakeFirstOrThrow()).untried_since ?? "";
    };
    const before = instant(directory().storage.now());
    expect(await waitsSince()).toBe(untried_since);
    expect((await ask(agent, { grant_type: "client_credentials" })).status).toBe(200);
    expect((await waitsSince()) >= before).toBe(true);
  });

  it("stay when they exchange tokens", async () => {
    const agent = await addUnused();
    const own = await ask(agent, { grant_type: "client_credentials" });
    const used = directory().storage.now() - OLD;
    await directory().storage.write((tx) =>
      tx.db
        .updateTable("client_registrations")
        .set({ used_at: instant(used), expires_at: instant(used + KEPT) })
        .where("client_id", "=", agent.client.id)
        .execute(),
    );
    const subject_token = String(own.body.access_token);
    const subject_token_type = "urn:ietf:params:oauth:token-type:access_token";
    const exchanged = await ask(agent, { grant_type: EXCHANGE, subject_token, subject_token_type });
    expect(exchanged.status, exchanged.text).toBe(200);
    await sweep();
    expect(await isKept(agent.client)).toBe(true);
  });

  it("stay when they ask what others' tokens are worth, and do nothing else", async () => {
    const { client, secret } = await addUnused();
    const headers = { authorization: basic({ client_id: client.client_id, client_secret: secret }) };
    const asked = await call(`${tenant.base}/oauth/introspect`, { method: "POST", headers, form: { token: "x" } });
    expect([asked.status, asked.body]).toEqual([200, { active: false }]);
    const registered = db().selectFrom("client_registrations").select("used_at").where("client_id", "=", client.id);
    const recent = instant(directory().storage.now() - OLD / 2);
    await expect
      .poll(async () => (await registered.executeTakeFirst())?.used_at)
      .toSatisfy((at) => String(at) > recent);
    await sweep();
    expect(await isKept(client)).toBe(true);
  });

  it("stay when their use commits while they are swept", async () => {
    const { client } = await addUnused();
    const { storage } = directory();
    const now = storage.now();
    const row = { account_id: client.account_id, client_id: client.id };
    const noting = ({ db }: Transaction) => updateUsedAt(db, row, instant(now), now);
    const both = await overlap(storage, noting, sweep);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
    expect(await isKept(client)).toBe(true);
  });

  const agree = (client_id: string, user_id = tenant.user.id) =>
    recordConsent(directory(), { ...ALL_OF_IT, account_id: tenant.account_id, user_id, client_id });

  it("go with their secrets, their grants, what was issued to them and what was agreed to at them", async () => {
    const agent = await addUnused();
    const { account_id, id } = agent.client;
    await agree(id);
    await agree(tenant.client.id);
    await sweep();
    expect(await isKept(agent.client)).toBe(false);
    const agreed = db().selectFrom("consents").select("client_id").where("account_id", "=", account_id);
    expect((await agreed.execute()).map(({ client_id }) => client_id)).toEqual([tenant.client.id]);
    for (const table of ["client_registrations", "client_secrets", "grants"] as const) {
      const rows = await db().selectFrom(table).select("client_id").where("client_id", "=", id).execute();
      expect(rows, table).toEqual([]);
    }
    const subject = `client:${id}`;
    const revoked = db().selectFrom("revocations").select("subject").where("account_id", "=", account_id);
    expect(await revoked.where("subject", "=", subject).execute()).toHaveLength(1);
    expect(() => directory().revocations.checkAlive(account_id, [subject])).toThrow();
    expect((await ask(agent, { grant_type: "client_credentials" })).status).toBe(401);
  });

  it("that go by themselves take with them what was agreed to at them", async () => {
    const { client } = await addUnused();
    await agree(client.id);
    await removeRegistered({ directory: directory() } as Oauth, client, actor);
    expect(await isKept(client)).toBe(false);
    const agreed = db().selectFrom("consents").select("client_id").where("client_id", "=", client.id);
    expect(await agreed.execute()).toEqual([]);
  });

  it("go after what many agreed to at them, of which no transaction takes more than a part", async () => {
    const { storage } = directory();
    const left = async (client_id: string) =>
      (await db().selectFrom("consents").select("user_id").where("client_id", "=", client_id).execute()).length;
    const addAgreed = async ({ account_id, id: client_id }: Client) => {
      const about = { account_id, client_id, audience: "", scope: "[]", host: "", granted_at: instant(storage.now()) };
      const rows = Array.from({ length: 1_100 }, () => ({ ...about, user_id: randomUUID() }));
      await storage.write((tx) => tx.db.insertInto("consents").values(rows).execute());
    };
    const [swept, leaving] = [(await addUnused()).client, (await addUnused()).client];
    for (const client of [swept, leaving]) await addAgreed(client);
    const sizes: number[] = [];
    const write: typeof storage.write = async (work) => {
      const before = await left(leaving.id);
      const done = await storage.write(work);
      sizes.push(before - (await left(leaving.id)));
      return done;
    };
    await removeRegistered({ directory: { ...directory(), storage: { ...storage, write } } } as Oauth, leaving, actor);
    expect([await isKept(leaving), await left(leaving.id), Math.max(...sizes)]).toEqual([false, 0, 500]);
    await sweep();
    expect([await isKept(swept), await left(swept.id)]).toEqual([true, 600]);
    while ((await sweep()) === 100);
    expect([await isKept(swept), await left(swept.id)]).toEqual([false, 0]);
  });

  it("hide no other from those who agreed to them, however many went", async () => {
    const { client } = await addUnused();
    const user_id = randomUUID();
    await agree(client.id, user_id);
    for (let n = 0; n < 201; n++) await agree(randomUUID(), user_id);
    const listed = await newestConsents(directory(), tenant.account_id, user_id);
    expect(listed.map(({ client_id }) => client_id)).toEqual([client.id]);
  });
});
