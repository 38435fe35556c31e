/** What one account's records may hold, however they came to it: strangers have some of it read, and everybody waits for that. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";

const LONG = (n: number) => Array.from({ length: 200 }, (_, at) => `read:accounts:/${n}-${at}-`.padEnd(195, "x"));

describeOnBothEngines("an account", (engine) => {
  let latchkey: Latchkey;
  const asked: string[] = [];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { onQuery: (text) => void asked.push(text) });
  });
  afterAll(() => latchkey.close());

  const send = (own: Tenant, method: string, path: string, json?: object) =>
    call(`${own.base}${path}`, { method, token: own.token, ...(json ? { json } : {}) });

  it("has clients whose grants hold no more together than is read for any stranger who names them", async () => {
    const own = await createTenant(latchkey);
    const client = await addClient(latchkey, own.account_id);
    const grant = (n: number, scope: readonly string[]) =>
      send(own, "POST", "/auth/client-grants", { client_id: client.id, audience: `https://${n}.example`, scope });
    const made = [await grant(0, LONG(0)), await grant(1, LONG(1))];
    expect(made.map(({ status }) => status)).toEqual([200, 200]);
    const fault = { path: "scope", code: "too_many", message: expect.stringContaining("100,000 characters") };
    const many = await grant(2, LONG(2));
    expect([many.status, many.body.error?.errors]).toEqual([400, [fault]]);
    const small = await grant(2, ["read"]);
    expect(small.status, small.text).toBe(200);
    const change = (scope: readonly string[]) => send(own, "PATCH", `/auth/client-grants/${small.body.id}`, { scope });
    const grown = await change(LONG(2));
    expect([grown.status, grown.body.error?.errors]).toEqual([400, [fault]]);
    expect((await change(["read", "write"])).status).toBe(200);
    // What was given before there was a limit can be made less, and not more.
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db
        .updateTable("grants")
        .set({ scope: JSON.stringify(LONG(2)) })
        .where("account_id", "=", own.account_id)
        .where("id", "=", small.body.id)
        .execute(),
    );
    expect((await change([...LONG(2).slice(1), "x".repeat(196)])).status).toBe(400);
    expect((await change(LONG(2).slice(1))).status).toBe(200);
  });

  it("waits by itself where many more grants are refused at once", async () => {
    const [own, other] = [await createTenant(latchkey), await createTenant(latchkey)];
    const { id: client_id } = await addClient(latchkey, own.account_id);
    const short = Array.from({ length: 100 }, (_, n) => `${n}:`.padEnd(180, "x"));
    const grant = (n: number) =>
      send(own, "POST", "/auth/client-grants", { client_id, audience: `https://${n}.example`, scope: short });
    for (let n = 0; n < 5; n++) expect((await grant(n)).status).toBe(200);
    const { id } = (await send(own, "GET", `/auth/client-grants?client_id=${client_id}`)).body[0];
    const grow = () => send(own, "PATCH", `/auth/client-grants/${id}`, { scope: LONG(0) });
    for (const refuse of [grant, grow]) {
      const answers: number[] = [];
      const all = Array.from({ length: 40 }, async (_, n) => answers.push((await refuse(100 + n)).status));
      await Promise.race(all);
      expect((await send(other, "GET", "/auth/clients")).status).toBe(200);
      expect(answers.length, "answered before another account").toBeLessThan(20);
      await Promise.all(all);
      // On a machine with too much to do they wait too long for one another.
      expect([...new Set(answers)].filter((status) => status !== 503)).toEqual([400]);
    }
  });

  it("counts with them what they name beside scopes: audiences, and domains that a provider is trusted with", async () => {
    const own = await createTenant(latchkey);
    const { id: client_id } = await addClient(latchkey, own.account_id);
    const trusted_domains = Array.from({ length: 100 }, (_, n) => `${n}.`.padEnd(253, "x"));
    const oidc = { client_id: "c", client_secret: "s", authority: "https://idp.example", trusted_domains };
    const grant = (n: number, more: object, audience = `https://${n}.example`) =>
      send(own, "POST", "/auth/client-grants", { client_id, audience, type: "authorization_code", scope: [], ...more });
    for (const n of [0, 1, 2]) expect((await grant(n, { oidc })).status).toBe(200);
    const refused = [await grant(3, { oidc }), await grant(3, { scope: LONG(0) })];
    const fault = (path: string) => [expect.objectContaining({ path, code: "too_many" })];
    expect(refused.map(({ body }) => body.error?.errors)).toEqual([fault("oidc"), fault("scope")]);
    const long = (n: number) => `https://${n}.example/`.padEnd(2_000, "x");
    for (let n = 0; n < 11; n++) expect((await grant(n, {}, long(n))).status).toBe(200);
    expect((await grant(12, {}, long(12))).body.error?.errors).toEqual(fault("audience"));
  });

  it("has clients whose settings hold no more together than is read for any stranger who names them", async () => {
    const own = await createTenant(latchkey);
    const client = await addClient(latchkey, own.account_id);
    const addresses = (count: number) =>
      Array.from({ length: count }, (_, n) => `https://${n}.example/`.padEnd(2_000, "x"));
    const change = (json: object) => send(own, "PATCH", `/auth/clients/${client.id}`, json);
    expect((await change({ callbacks: addresses(28) })).status).toBe(200);
    const refused = await change({ name: "more", post_logout_redirect_uris: addresses(28) });
    const fault = { path: "post_logout_redirect_uris", code: "too_many" };
    expect([refused.status, refused.body.error?.errors]).toEqual([400, [expect.objectContaining(fault)]]);
    // What was set before there was a limit can be made less.
    await latchkey.server.core.storage.write(({ db }) =>
      db
        .updateTable("clients")
        .set({ settings: JSON.stringify({ callbacks: addresses(50), post_logout_redirect_uris: addresses(50) }) })
        .where("account_id", "=", own.account_id)
        .where("id", "=", client.id)
        .execute(),
    );
    expect((await change({ post_logout_redirect_uris: addresses(20) })).status).toBe(200);
    expect((await change({ name: "other", signup: false })).status).toBe(400);
    expect((await change({ post_logout_redirect_uris: [] })).status).toBe(200);
  });

  it("has users whose roles hold no more together than is read at each look at one, however much of it is the same", async () => {
    const own = await createTenant(latchkey);
    const role = async (scope: readonly string[]) => (await send(own, "POST", "/auth/roles", { scope })).body.id;
    const [a, b, c, short] = [await role(LONG(0)), await role(LONG(0)), await role(LONG(0)), await role([])];
    const roles = (...ids: string[]) => ({ roles: ids.map((id) => ({ id })) });
    const create = (email: string, ...ids: string[]) =>
      send(own, "POST", "/management/users", { email, ...roles(...ids) });
    const fault = (path: string) => [expect.objectContaining({ path, code: "too_many" })];
    const many = await create("many@corp.example", a, b, c);
    expect([many.status, many.body.error?.errors]).toEqual([400, fault("roles")]);
    const { id } = (await create("ada@corp.example", a, b, short)).body;
    const put = (path: string, json: object) => send(own, "PUT", path, json);
    const more = await put(`/management/users/${id}`, roles(a, b, c));
    expect([more.status, more.body.error?.errors]).toEqual([400, fault("roles")]);
    const grown = await put(`/auth/roles/${short}`, { scope: LONG(0) });
    expect([grown.status, grown.body.error?.errors]).toEqual([400, fault("scope")]);
    expect((await put(`/auth/roles/${short}`, { scope: LONG(0).slice(0, 4) })).status).toBe(200);
    expect((await put(`/management/users/${id}`, roles(a, short))).status).toBe(200);
    expect((await put(`/auth/roles/${short}`, { scope: LONG(0) })).status).toBe(200);
    asked.splice(0);
    expect((await send(own, "GET", `/management/users/${id}/activities`)).status).toBe(200);
    expect(asked.filter((text) => text.includes('from "roles"'))).toEqual([]);
  });
});
