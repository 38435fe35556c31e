/** Clients that nobody agrees to, or one person alone: where an account is full of strangers' clients, they keep nobody out. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { withdrawConsent } from "../../src/oauth/consents/consent.ts";
import { noteUsed } from "../../src/oauth/registration/note-used.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addGrant,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { pkce } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";
import { countSubjects } from "../support/used-up.ts";

const BACK = "https://agent.example/back";

describeOnBothEngines("strangers' clients", (engine) => {
  let latchkey: Latchkey;
  let web: Receiver;
  beforeAll(async () => {
    web = await openReceiver(({ path }) => {
      const document = { client_id: `${web.url}${path}`, redirect_uris: [BACK] };
      return [200, JSON.stringify(document), { "cache-control": "max-age=86400" }];
    });
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const address = (own: Tenant, client_id: string) => {
    const about = { client_id, redirect_uri: BACK, response_type: "code", scope: "openid", ...pkce };
    return `${own.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
  };
  /** How somebody comes by such a client: with its status, and its client_id where it got one. */
  const ways = {
    metadata: async (own: Tenant, name: string) => {
      const client_id = `${web.url}/${name}.json`;
      return { status: (await openSurfer(latchkey).visit(address(own, client_id))).status, client_id };
    },
    dynamic: async (own: Tenant, client_name: string) => {
      const json = { redirect_uris: [BACK], client_name };
      const { status, body } = await call(`${own.base}/oauth/register`, { method: "POST", json });
      return { status: status === 201 ? 200 : status, client_id: String(body.client_id) };
    },
  };
  const living = (own: Tenant, origin: keyof typeof ways) =>
    latchkey.server.core.storage.read
      .selectFrom("clients")
      .select(["id", "client_id"])
      .where("account_id", "=", own.account_id)
      .where("origin", "=", origin)
      .where("deleted_at", "is", null);
  /** As many as there is room for, all like this one but that they wait for nobody, or since a day. @returns their ids. */
  async function fill(own: Tenant, origin: keyof typeof ways, most: number, like: string, waits = false) {
    const untried_since = waits ? new Date(Date.now() - 86_400_000).toISOString() : null;
    const filled: string[] = [];
    const there = (await living(own, origin).execute()).length;
    await latchkey.server.core.storage.write(async ({ db }) => {
      const row = await db
        .selectFrom("clients")
        .selectAll()
        .where("account_id", "=", own.account_id)
        .where("client_id", "=", like)
        .executeTakeFirstOrThrow();
      for (let left = most - there; left > 0; left -= 1_000) {
        const ids = Array.from({ length: Math.min(left, 1_000) }, () => randomUUID());
        const more = ids.map((id) => ({ ...row, id, client_id: id, untried_since }));
        filled.push(...ids);
        await db.insertInto("clients").values(more).execute();
      }
    });
    return filled;
  }
  /** What was found among all is remembered for a minute. */
  const forget = () => latchkey.server.core.directory.untried.clear();

  it.each([
    ["metadata", 10_000],
    ["dynamic", 1_000],
  ] as const)("give way, the longest waiting first (%s), and no other does", async (origin, most) => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const { directory } = latchkey.server.core;
    const come = (name: string) => ways[origin](own, name);
    const named = async (name: string) => {
      const { status, client_id } = await come(name);
      expect(status, name).toBe(200);
      return client_id;
    };
    const taken = await named("taken");
    const shown = await openSurfer(latchkey).logIn(address(own, taken), own);
    expect(shown.url).toContain(`${BACK}?code=`);
    const { id } = await findClient(directory, own.account_id, taken);
    expect(await withdrawConsent(directory, own.account_id, own.user.id, id, actor)).toBe(true);
    const beside = await named("beside");
    expect((await openSurfer(latchkey).logIn(address(own, beside), own)).url).toContain(`${BACK}?code=`);
    const granted = await named("granted");
    await addGrant(latchkey, own.account_id, { client_id: granted }, own.audience, []);
    const changed = await named("changed");
    await changeClient(
      directory,
      await findClient(directory, own.account_id, changed),
      { name: "Known", settings: {} },
      actor,
    );
    const [first, second] = [await named("first"), await named("second")];
    const first_id = (await findClient(directory, own.account_id, first)).id;
    await fill(own, origin, most, taken);
    const there = async () => {
      const rows = await living(own, origin).execute();
      expect(rows).toHaveLength(most);
      return [beside, granted, changed, taken, first, second].map((one) =>
        rows.some(({ client_id }) => client_id === one),
      );
    };

    await named("newcomer");
    expect(await there(), "whoever agreed took it back").toEqual([true, true, true, false, true, true]);
    await named("next");
    expect(await there(), "the longest waiting").toEqual([true, true, true, false, false, true]);
    const revoked = directory.storage.read.selectFrom("revocations").select("subject");
    expect(await revoked.where("account_id", "=", own.account_id).execute(), "what it was issued").toContainEqual({
      subject: `client:${first_id}`,
    });
    await named("last");
    expect(await there()).toEqual([true, true, true, false, false, false]);
    if (origin === "dynamic") {
      const { status, html } = await openSurfer(latchkey).visit(address(own, second));
      expect([status, html.includes("no such client")]).toEqual([400, true]);
      return;
    }
    expect(await named("first"), "made again").toBe(first);
    expect(await there()).toEqual([true, true, true, false, true, false]);
  });

  it("give way, the longest unused first, where one person alone agreed to all, but for what they agreed to last", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const { directory, storage } = latchkey.server.core;
    const { account_id } = own;
    const come = () => ways.dynamic(own, "one");
    const used = (await come()).client_id;
    await letPass(latchkey, "clients", account_id, 2 * 86_400);
    await letPass(latchkey, "client_registrations", account_id, 2 * 86_400);
    const [oldest = "", ...others] = await fill(own, "dynamic", 1_000, used, true);
    const host = "agent.example";
    const about = { account_id, user_id: own.user.id, audience: "", scope: "[]", host };
    const agreed = [used, oldest, ...others].map((client_id, n) => {
      return { ...about, client_id, granted_at: new Date(Date.now() - (1_000 - n) * 60_000).toISOString() };
    });
    await storage.write(async ({ db }) => void (await db.insertInto("consents").values(agreed).execute()));
    const wait = (id: string, since: string) =>
      storage.write(async ({ db }) => {
        const client = db.updateTable("clients").where("account_id", "=", account_id).where("id", "=", id);
        await client.set({ untried_since: since }).execute();
      });
    for (const [place, id] of others.slice(-20).entries()) await wait(id, `2026-01-01T00:00:${10 + place}.000Z`);
    await wait(oldest, "2026-02-01T00:00:00.000Z");

    expect((await come()).status, "another").toBe(200);
    const left = new Set((await living(own, "dynamic").execute()).map(({ id }) => id));
    expect([used, oldest, ...others].filter((id) => !left.has(id))).toEqual([oldest]);
    await wait(used, "2026-01-01T00:00:00.000Z");
    await noteUsed(directory, await findClient(directory, account_id, used));
    expect((await come()).status).toBe(200);
    const after = new Set((await living(own, "dynamic").execute()).map(({ id }) => id));
    expect([after.has(used), after.size], "used just now").toEqual([true, 1_000]);
    expect(
      others.slice(-20).every((id) => after.has(id)),
      "agreed to last",
    ).toBe(true);
  });

  it("are kept by nobody who was deleted, and by nobody for longer than a week where all are kept", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const { storage } = latchkey.server.core;
    const { account_id } = own;
    const come = () => ways.dynamic(own, "one");
    const first = await come();
    const clients = [first.client_id, ...(await fill(own, "dynamic", 1_000, first.client_id, true))];
    const people = Array.from({ length: 50 }, () => randomUUID());
    const consents = clients.map((client_id, n) => {
      const about = {
        account_id,
        user_id: people[n % people.length] ?? "",
        audience: "",
        scope: "[]",
        host: "agent.example",
      };
      return { ...about, client_id, granted_at: new Date().toISOString() };
    });
    await storage.write(async ({ db }) => {
      const users = db.selectFrom("users").selectAll().where("account_id", "=", account_id);
      const person = await users.where("id", "=", own.user.id).executeTakeFirstOrThrow();
      const nobody = { email: null, email_canonical: null, phone_number: null, customer_id: null };
      await db
        .insertInto("users")
        .values(people.map((id) => ({ ...person, ...nobody, id })))
        .execute();
      await db.insertInto("consents").values(consents).execute();
      const waits = { untried_since: new Date(Date.now() - 3 * 86_400_000).toISOString() };
      const oldest = db.updateTable("clients").set(waits).where("account_id", "=", account_id);
      await oldest.where("id", "=", clients[7] ?? "").execute();
    });
    const gone = async () => {
      const left = new Set((await living(own, "dynamic").execute()).map(({ id }) => id));
      return clients.filter((id) => !left.has(id));
    };

    expect((await come()).status, "kept by all").toBe(429);
    await letPass(latchkey, "clients", account_id, 5 * 86_400);
    forget();
    expect((await come()).status, "the longest unused is so for more than a week").toBe(200);
    expect(await gone()).toEqual([clients[7]]);
    expect((await come()).status, "in the place of the newcomer").toBe(200);
    expect(await gone(), "no other is").toEqual([clients[7]]);
    await storage.write(async ({ db }) => {
      const deleted = { deleted_at: new Date().toISOString(), deleted_by: "somebody" };
      const users = db.updateTable("users").set(deleted).where("account_id", "=", account_id);
      await users.where("id", "=", people[30] ?? "").execute();
    });
    expect((await come()).status).toBe(200);
    expect(await gone(), "all those were looked at a moment ago").toEqual([clients[7]]);
    forget();
    expect((await come()).status, "somebody was deleted").toBe(200);
    const [, another] = (await gone()).map((id) => clients.indexOf(id)).toSorted((a, b) => a - b);
    expect((another ?? 0) % people.length, "who agreed to it").toBe(30);
  });

  it("do not give way to others while somebody logs in there", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const { directory } = latchkey.server.core;
    const { client_id } = await ways.dynamic(own, "app");
    await letPass(latchkey, "clients", own.account_id, 3_601);
    const others = await fill(own, "dynamic", 1_000, client_id);
    const since = { untried_since: new Date(Date.now() - 1_800_000).toISOString() };
    await directory.storage.write(async ({ db }) => {
      await db
        .updateTable("clients")
        .set(since)
        .where("account_id", "=", own.account_id)
        .where("id", "in", others)
        .execute();
    });
    directory.clients.clear();
    const surfer = openSurfer(latchkey);
    const asked = await surfer.act(await surfer.visit(address(own, client_id)), "identify", {
      identifier: own.user.email,
    });
    expect((await ways.dynamic(own, "stranger")).status, "in the place of another").toBe(200);
    const [message] = await inbox(own, own.user.email);
    const entered = await surfer.act(asked, "code", { code: message?.verification_code ?? "" });
    expect((await surfer.act(entered, "allow")).url).toContain(`${BACK}?code=`);
  });

  it("give way all the same where somebody opens more logins than they could register clients", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const { directory } = latchkey.server.core;
    const { client_id } = await ways.dynamic(own, "app");
    const others = await fill(own, "dynamic", 13, client_id, true);
    for (const other of others) await openSurfer(latchkey).visit(address(own, other));
    const waits = living(own, "dynamic").where("untried_since", "<", new Date(Date.now() - 86_000_000).toISOString());
    expect(await waits.execute()).toHaveLength(2);
    expect(await countSubjects(directory.storage, own, "client_login_source")).toBe(1);
  });

  it("wait anew once somebody agrees to them", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const { client_id } = await ways.dynamic(own, "agreed");
    const before = new Date().toISOString();
    expect((await openSurfer(latchkey).logIn(address(own, client_id), own)).url).toContain(`${BACK}?code=`);
    const row = await latchkey.server.core.storage.read
      .selectFrom("clients")
      .select("untried_since")
      .where("account_id", "=", own.account_id)
      .where("client_id", "=", client_id)
      .executeTakeFirstOrThrow();
    expect((row.untried_since ?? "") >= before).toBe(true);
  });
});
