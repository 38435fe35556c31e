/** Where an account is full of strangers' clients: who gives way, whoever comes, one after another or all at once. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { noteTried } from "../../src/directory/clients/untried.ts";
import { createGrantIn } from "../../src/directory/grants/change-grants.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { actor, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { pkce } from "../support/standard-client.ts";
import { addCrowd } from "../support/strangers.ts";
import { openSurfer } from "../support/surfer.ts";

const BACK = "https://agent.example/back";
const kinds = [
  ["metadata", 10_000],
  ["dynamic", 1_000],
] as const;

describeOnBothEngines("an account that is full of strangers' clients", (engine) => {
  let latchkey: Latchkey;
  /** On PostgreSQL another process. */
  let elsewhere: Latchkey;
  let web: Receiver;
  let came = 0;
  beforeAll(async () => {
    web = await openReceiver(({ path }) => {
      const document = { client_id: `${web.url}${path}`, redirect_uris: [BACK] };
      return [200, JSON.stringify(document), { "cache-control": "max-age=86400" }];
    });
    const env = { EGRESS_ALLOW: "127.0.0.0/8", TRUSTED_PROXIES: "127.0.0.1" };
    latchkey = await startLatchkey(engine, { env });
    const { database, config } = latchkey;
    elsewhere =
      engine === "sqlite" ? latchkey : await startLatchkey(engine, { env, database, public_url: config.public_url });
  });
  afterAll(async () => {
    if (elsewhere !== latchkey) await elsewhere.stop();
    await latchkey.close();
    await web.close();
  });

  const visit = (at: Latchkey, own: Tenant, client_id: string, from: Readonly<Record<string, string>>) => {
    const about = { client_id, redirect_uri: BACK, response_type: "code", scope: "openid", ...pkce };
    return openSurfer(at, from).visit(`${own.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
  };
  /** Somebody comes by a new client, each from another address, and half of them at another process. */
  const ways = {
    metadata: async (own: Tenant, at: Latchkey, from: Readonly<Record<string, string>>, n: number) => {
      const client_id = `${web.url}/${n}.json`;
      return { status: (await visit(at, own, client_id, from)).status, client_id };
    },
    dynamic: async (own: Tenant, at: Latchkey, headers: Readonly<Record<string, string>>) => {
      const url = `${own.base}/oauth/register`.replace(latchkey.url, at.url);
      const { status, body } = await call(url, { method: "POST", headers, json: { redirect_uris: [BACK] } });
      return { status: status === 201 ? 200 : status, client_id: String(body.client_id) };
    },
  };
  const come = (own: Tenant, origin: keyof typeof ways) => {
    came += 1;
    const from = { "x-forwarded-for": `10.0.${came >> 8}.${came & 255}` };
    return ways[origin](own, came % 2 ? latchkey : elsewhere, from, came);
  };
  const times = (n: number, own: Tenant, origin: keyof typeof ways) =>
    Promise.all(Array.from({ length: n }, async () => (await come(own, origin)).status));
  /** With one newcomer. */
  async function open(origin: keyof typeof ways) {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    return { own, first: (await come(own, origin)).client_id };
  }
  const clientsOf = async ({ account_id }: Tenant, origin: keyof typeof ways) => {
    const clients = latchkey.server.core.storage.read.selectFrom("clients").select(["id", "client_id"]);
    return clients.where("account_id", "=", account_id).where("origin", "=", origin).execute();
  };
  const gone = async (own: Tenant, origin: keyof typeof ways, ids: readonly string[]) => {
    const there = new Set((await clientsOf(own, origin)).map(({ id }) => id));
    return ids.filter((id) => !there.has(id));
  };
  const since = ({ account_id }: Tenant, client_id: string, minutes: number) =>
    latchkey.server.core.storage.write(async ({ db }) => {
      const untried_since = new Date(Date.now() - minutes * 60_000).toISOString();
      const client = db.updateTable("clients").set({ untried_since }).where("account_id", "=", account_id);
      await client.where("client_id", "=", client_id).execute();
    });
  /** What was found among all is remembered for a minute. */
  const forget = () => {
    for (const { server } of [latchkey, elsewhere]) {
      server.core.directory.untried.clear();
      server.core.directory.clients.clear();
    }
  };

  it.each(kinds)(
    "loses none that people keep once a tenth is kept by nobody (%s), whoever comes",
    async (origin, most) => {
      const { own, first } = await open(origin);
      const kept = await addCrowd(latchkey, own, first, { n: most - most / 10 + 2, days: 9, kept: true });
      const unkept = await addCrowd(latchkey, own, first, { n: most / 10 - 3, days: 1, kept: false });
      const expected = async () => [await gone(own, origin, kept), await gone(own, origin, unkept)];
      expect(await times(9, own, origin)).toEqual(Array(9).fill(200));
      expect(await expected(), "all at once").toEqual([kept.slice(0, 2), unkept.slice(0, 7)]);
      for (let n = 0; n < 3; n++) expect((await come(own, origin)).status).toBe(200);
      expect(await expected(), "one after another").toEqual([kept.slice(0, 2), unkept.slice(0, 10)]);
      forget();
      expect(await times(9, own, origin)).toEqual(Array(9).fill(200));
      expect(await expected(), "a minute later").toEqual([kept.slice(0, 2), unkept.slice(0, 19)]);
      expect(await clientsOf(own, origin)).toHaveLength(most);
    },
  );

  it.each(kinds)(
    "loses what nobody keeps where people use all that they keep (%s), and takes nobody where that is all",
    async (origin, most) => {
      const { own, first } = await open(origin);
      const kept = await addCrowd(latchkey, own, first, { n: most - 1, days: 6, kept: true });
      for (let n = 0; n < 3; n++)
        expect((await come(own, origin)).status, "in the place of the newcomer of before").toBe(200);
      expect(await gone(own, origin, kept)).toEqual([]);
      const [last] = (await clientsOf(own, origin)).filter(({ id }) => !kept.includes(id));
      const { storage } = latchkey.server.core;
      const about = {
        account_id: own.account_id,
        user_id: own.user.id,
        audience: "",
        scope: "[]",
        host: "agent.example",
      };
      const agreed = { ...about, client_id: last?.id ?? "", granted_at: new Date().toISOString() };
      await storage.write(async ({ db }) => void (await db.insertInto("consents").values(agreed).execute()));
      const asked = web.all.length;
      expect((await come(own, origin)).status).toBe(429);
      expect(web.all, "asked about").toHaveLength(asked);
      await since(own, kept[3] ?? "", 8 * 24 * 60);
      forget();
      for (let n = 0; n < 2; n++) expect((await come(own, origin)).status, "nobody has used one for a week").toBe(200);
      expect(await gone(own, origin, [...kept, last?.id ?? ""])).toEqual([kept[3]]);
    },
  );

  it.each(kinds)(
    "is kept shut by no newcomer at which somebody opens a login now and then (%s)",
    async (origin, most) => {
      const { own, first } = await open(origin);
      const kept = await addCrowd(latchkey, own, first, { n: most - 1, days: 11, kept: true });
      await since(own, first, 50);
      forget();
      const before = new Date(Date.now() - 60_000).toISOString();
      await visit(latchkey, own, first, { "x-forwarded-for": "10.9.9.9" });
      forget();
      const { untried_since } = await findClient(latchkey.server.core.directory, own.account_id, first);
      expect((untried_since ?? "") > before, "used just now").toBe(true);
      expect(await times(3, own, origin)).toEqual([200, 200, 200]);
      expect(await gone(own, origin, kept)).toEqual(kept.slice(0, 3));
    },
  );

  it("keeps a newcomer until a hundred others came, and longer where somebody opens a login at it", async () => {
    const { own, first } = await open("dynamic");
    await addCrowd(latchkey, own, first, { n: 901, days: 6, kept: true });
    await addCrowd(latchkey, own, first, { n: 97, days: 1, kept: false });
    await since(own, first, 40);
    const newcomer = await come(own, "dynamic");
    const left = async (client_id: string) =>
      (await clientsOf(own, "dynamic")).some((client) => client.client_id === client_id);
    await visit(latchkey, own, first, { "x-forwarded-for": "10.9.9.9" });
    for (let n = 0; n < 97; n++) expect((await come(own, "dynamic")).status).toBe(200);
    expect([await left(newcomer.client_id), await left(first)], "98 came").toEqual([true, true]);
    expect((await come(own, "dynamic")).status).toBe(200);
    expect([await left(newcomer.client_id), await left(first)], "it came before the login").toEqual([false, true]);
    expect((await come(own, "dynamic")).status).toBe(200);
    expect(await left(first)).toBe(false);
  });

  it("loses none that somebody uses in that moment, but the next", async () => {
    const { own, first } = await open("dynamic");
    await addCrowd(latchkey, own, first, { n: 998, days: 6, kept: true });
    const next = await addCrowd(latchkey, own, first, { n: 1, days: 1, kept: false });
    await since(own, first, 3 * 24 * 60);
    const { directory } = latchkey.server.core;
    const { storage } = directory;
    const client = await findClient(directory, own.account_id, first);
    const both = await overlap(
      storage,
      (tx) => noteTried(tx, client, storage.now()),
      () => come(own, "dynamic"),
    );
    expect(both).toMatchObject([{ status: "fulfilled" }, { value: { status: 200 } }]);
    expect(await gone(own, "dynamic", [client.id, ...next])).toEqual(next);
  });

  it("loses none that the account gives a grant in that moment", async () => {
    const { own, first } = await open("dynamic");
    await addCrowd(latchkey, own, first, { n: 999, days: 6, kept: true });
    const { directory } = latchkey.server.core;
    const client = await findClient(directory, own.account_id, first);
    const grant = { client, audience: "https://api.agents.example", scope: ["read"], type: "any" as const };
    const [given, another] = await overlap(
      directory.storage,
      (tx) => createGrantIn(tx, directory, grant, actor),
      () => come(own, "dynamic"),
    );
    expect([given.status, another]).toEqual([
      "fulfilled",
      expect.objectContaining({ value: { status: 429, client_id: "undefined" } }),
    ]);
    expect(await gone(own, "dynamic", [client.id])).toEqual([]);
  });
});
