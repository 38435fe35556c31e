/** Clients that nobody has agreed to anything at: where an account is full of strangers' clients, they keep nobody out. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { withdrawConsent } from "../../src/oauth/consents/consent.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { actor, addGrant, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { pkce } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const BACK = "https://agent.example/back";

describeOnBothEngines("strangers' clients that nobody has tried", (engine) => {
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
  /** As many as there is room for, all like this one but that somebody has agreed to something at them. */
  async function fill(own: Tenant, origin: keyof typeof ways, most: number, like: string) {
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
        const more = ids.map((id) => ({ ...row, id, client_id: id, untried_since: null }));
        await db.insertInto("clients").values(more).execute();
      }
    });
  }
  async function hourPasses(own: Tenant) {
    for (const table of ["clients", "budgets"] as const) await letPass(latchkey, table, own.account_id, 3_601);
  }

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
    const agreed = await named("agreed");
    const shown = await openSurfer(latchkey).logIn(address(own, agreed), own);
    expect(shown.url).toContain(`${BACK}?code=`);
    const { id } = await findClient(directory, own.account_id, agreed);
    expect(await withdrawConsent(directory, own.account_id, own.user.id, id, actor)).toBe(true);
    const beside = await named("beside");
    expect((await openSurfer(latchkey).logIn(address(own, beside), own)).url).toContain(`${BACK}?code=`);
    await latchkey.server.core.storage.write(({ db }) =>
      // A process of the version before takes no mark away.
      db
        .updateTable("clients")
        .set(({ ref }) => ({ untried_since: ref("created_at") }))
        .where("account_id", "=", own.account_id)
        .where("client_id", "=", beside)
        .execute(),
    );
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
    await fill(own, origin, most, agreed);
    const there = async () => {
      const rows = await living(own, origin).execute();
      expect(rows).toHaveLength(most);
      return [agreed, beside, granted, changed, first, second].map((one) =>
        rows.some(({ client_id }) => client_id === one),
      );
    };

    expect((await come("early")).status, "somebody may be logging in at each").toBe(429);
    expect(
      web.all.filter(({ path }) => path === "/early.json"),
      "asked about",
    ).toEqual([]);
    await hourPasses(own);
    await named("newcomer");
    expect(await there(), "the longest waiting").toEqual([true, true, true, true, false, true]);
    const revoked = directory.storage.read.selectFrom("revocations").select("subject");
    expect(await revoked.where("account_id", "=", own.account_id).execute(), "what it was issued").toContainEqual({
      subject: `client:${first_id}`,
    });
    const both = await Promise.all([come("one"), come("another")]);
    expect(both.map(({ status }) => status).toSorted(), "in the one place").toEqual([200, 429]);
    expect(await there()).toEqual([true, true, true, true, false, false]);
    if (origin === "dynamic") {
      const { status, html } = await openSurfer(latchkey).visit(address(own, second));
      expect([status, html.includes("no such client")]).toEqual([400, true]);
      return;
    }
    await hourPasses(own);
    expect(await named("first"), "made again").toBe(first);
    expect(await there()).toEqual([true, true, true, true, true, false]);
  });
});
