/** What lists and look-ups ask the database for, where somebody asks for them again and again. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { lookUpClient } from "../../src/directory/clients/find-client.ts";
import { insertGrant } from "../../src/directory/grants/store.ts";
import { recordConsent } from "../../src/oauth/consents/consent.ts";
import { uuidv7 } from "../../src/secrets/uuid.ts";
import { instant } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  newAccountId,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { pkce } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("what is asked for again and again", (engine) => {
  let latchkey: Latchkey;
  const seen: string[] = [];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { onQuery: (sql) => void seen.push(sql.replaceAll(/\s+/g, " ")) });
  });
  afterAll(() => latchkey.close());

  async function countOf(statement: RegExp, work: () => Promise<void>): Promise<number> {
    seen.length = 0;
    await work();
    return seen.filter((sql) => statement.test(sql)).length;
  }

  it("a HEAD of a list reads one page, and its GET all of them", async () => {
    const tenant = await createTenant(latchkey);
    for (let n = 0; n < 60; n++) {
      const client = await addClient(latchkey, tenant.account_id);
      await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    }
    for (const [list, pages] of [
      ["clients", 13],
      ["client-grants", 4],
    ] as const) {
      const ask = (method: string) => call(`${tenant.base}/auth/${list}`, { method, token: tenant.token });
      const [table] = /clients|grants$/.exec(list) ?? [];
      const page = new RegExp(`from "${table}" where .* order by "id" limit`);
      const read = await countOf(page, async () => {
        expect((await ask("HEAD")).status).toBe(200);
        expect((await ask("GET")).body.length).toBeGreaterThan(60);
      });
      expect(read, list).toBe(1 + pages);
    }
  });

  it("a list of account users that no limit bounds has all of them, also what their addresses are written with", async () => {
    const { account_id, base, token } = await createTenant(latchkey);
    const { storage } = latchkey.server.core;
    const now = storage.now();
    const stamps = { created_at: instant(now), updated_at: instant(now), created_by: "test" };
    const about = {
      account_id,
      type: "account_user",
      profile: '{"scope_version":"1"}',
      scope: "[]",
      ...stamps,
    } as const;
    const rows = Array.from({ length: 1_003 }, (_, n) => {
      const email = n === 0 ? "ada@b\u00fccher.example" : `user-${n}@example.com`;
      const email_canonical = n === 0 ? "ada@xn--bcher-kva.example" : email;
      return { ...about, id: uuidv7(now), email, email_canonical, email_verified_at: instant(now) };
    });
    for (let from = 0; from < rows.length; from += 200)
      await storage.write(async ({ db }) => {
        await db
          .insertInto("users")
          .values(rows.slice(from, from + 200))
          .execute();
      });
    const list = async (query = "") => (await call(`${base}/management/users${query}`, { token })).body.length;
    expect(await list()).toBe(rows.length);
    expect(await list("?search=example")).toBe(rows.length);
    expect(await list("?limit=7")).toBe(7);
    for (const search of ["b\u00fccher", "B\u00dcCHER.ex", "xn--bcher", "ada@b"])
      expect(await list(`?search=${encodeURIComponent(search)}`), search).toBe(1);
  });

  it("a list of the grants for the account API has those for each of its names", async () => {
    const tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id);
    const other = `https://api.dintero.com/v1/accounts/${tenant.account_id}`;
    const id = await addGrant(latchkey, tenant.account_id, client, other, ["admin:accounts"]);
    for (const audience of [tenant.issuer, other]) {
      const query = { audience };
      const listed = await call(`${tenant.base}/auth/client-grants`, { token: tenant.token, query });
      expect(listed.body.map((grant: { id: string }) => grant.id)).toContain(id);
    }
  });

  /** Of a person who logged in here in this browser and then agreed to very much at one client. */
  async function agreeing() {
    const tenant = await createTenant(latchkey);
    const { storage } = latchkey.server.core;
    const user = await addUser(latchkey, tenant.account_id);
    const own = await addClient(latchkey, tenant.account_id, { first_party: true });
    const about = { client_id: own.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    const surfer = openSurfer(latchkey);
    await surfer.logIn(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`, tenant, user.email);
    const rows = Array.from({ length: 203 }, (_, n) => ({
      account_id: tenant.account_id,
      user_id: user.id,
      client_id: tenant.client.id,
      audience: `urn:api:${n}`,
      scope: JSON.stringify(Array.from({ length: n === 200 ? 400 : 10 }, (_, one) => `s${n}:${one}`.padEnd(190, "x"))),
      granted_at: instant(storage.now() + n),
    }));
    await storage.write(async ({ db }) => void (await db.insertInto("consents").values(rows).execute()));
    return { tenant, user, surfer, rows };
  }

  it("what a person agreed to is read page by page, all of it, and a HEAD of it one page", async () => {
    const { tenant, user, rows } = await agreeing();
    const ask = (method: string) =>
      call(`${tenant.base}/customers/users/${user.id}/consents`, { method, token: tenant.token });
    const page = /from "consents" .* limit (\?|\$\d)/;
    expect(await countOf(page, async () => expect((await ask("HEAD")).status).toBe(200))).toBe(1);
    const read = await countOf(page, async () => {
      const listed = (await ask("GET")).body as { audience: string; scope: string[] }[];
      const told = new Map(listed.map(({ audience, scope }) => [audience, JSON.stringify(scope).length]));
      expect(told).toEqual(new Map(rows.map(({ audience, scope }) => [audience, scope.length])));
    });
    expect(read).toBe(41);
  });

  it("the page tells no more of what a person agreed to than they read, and takes back any of it", async () => {
    const { tenant, user, surfer } = await agreeing();
    const other = await addClient(latchkey, tenant.account_id);
    const about = { account_id: tenant.account_id, user_id: user.id, client_id: other.id, audience: "" };
    await recordConsent(latchkey.server.core.directory, { ...about, scope: ["openid", "email"], host: "" });
    // Told in full are the newest, but for what one may do very much with.
    const { html, url } = await surfer.visit(`${tenant.issuer}/login/consents`);
    expect(html.length).toBeLessThan(300_000);
    const told = (n: number) =>
      new RegExp(`use urn:api:${n} in your name: <span class="quiet">([^<]*)<`).exec(html)?.[1];
    expect([told(202)?.slice(0, 7), told(200), told(201)?.slice(0, 7), told(9)]).toEqual([
      "s202:0x",
      "…",
      "s201:0x",
      "…",
    ]);
    const session = /name="session" value="([^"]+)"/.exec(html)?.[1] ?? "";
    const read = await countOf(/scope.* from "consents"/, async () => {
      expect((await surfer.visit(url, { client: other.id, session })).status).toBe(200);
    });
    expect(read, "for the page that follows").toBe(1);
    const left = latchkey.server.core.storage.read.selectFrom("consents").select("audience");
    expect(await left.where("client_id", "=", other.id).execute()).toEqual([]);
  });

  it("who agreed to a client that nobody checked is sent back to it, however much came after", async () => {
    const { tenant, user, surfer } = await agreeing();
    const { directory } = latchkey.server.core;
    const there = "https://agent.example/back";
    const json = { redirect_uris: [there], token_endpoint_auth_method: "none" };
    const made = (await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json })).body;
    const id = (await lookUpClient(directory, tenant.account_id, made.client_id))?.id ?? "";
    const silently = async () => {
      const asked = { ...pkce, prompt: "none", max_age: "0" };
      const query = {
        client_id: made.client_id,
        redirect_uri: there,
        response_type: "code",
        scope: "openid",
        ...asked,
      };
      return (await surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(query)}`)).url;
    };
    expect(await silently()).not.toContain(there);
    const row = { account_id: tenant.account_id, user_id: user.id, client_id: id, audience: "", scope: '["openid"]' };
    const agreed = { ...row, host: "agent.example", granted_at: "2026-01-01T00:00:00.000Z" };
    await directory.storage.write(async ({ db }) => void (await db.insertInto("consents").values(agreed).execute()));
    const read = await countOf(/scope.* from "consents"/, async () => {
      expect(await silently()).toContain(`${there}?error=login_required`);
    });
    expect(read).toBe(0);
  });

  const authorizing = async (tenant: Tenant, { client_id }: { readonly client_id: string }) => {
    const about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid", ...pkce };
    const query = { ...about, resource: "https://nix.example" };
    const { text, headers } = await call(`${tenant.base}/oauth/authorize`, { query });
    return text + headers.get("location");
  };

  it.each(["with grants", "without any"])(
    "a resource that a client %s does not hold is looked for about once a second",
    async (what) => {
      const tenant = await createTenant(latchkey);
      const client =
        what === "with grants" ? tenant.client : await addClient(latchkey, tenant.account_id, { first_party: true });
      const began = performance.now();
      const read = await countOf(/from "grants" where .*"client_id" = /, async () => {
        for (let n = 0; n < 20; n++) {
          expect(await authorizing(tenant, client)).toContain("invalid_target");
        }
      });
      expect(read).toBeLessThanOrEqual(2 + Math.ceil((performance.now() - began) / 1_000));
    },
  );

  it("a client's first grant is taken about a second after another process made it", async () => {
    const tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id, { first_party: true });
    expect(await authorizing(tenant, client)).toContain("invalid_target");
    const { storage } = latchkey.server.core;
    const now = storage.now();
    const own = {
      account_id: tenant.account_id,
      id: uuidv7(now),
      client_id: client.id,
      audience: "https://nix.example",
    };
    const kind = { scope: ["orders:read"], type: "any" as const, oidc: null, oidc_client_secret: null };
    // Past this process's own change, which would forget what it knows.
    await storage.write((tx) =>
      insertGrant(tx.db, { ...own, ...kind, created_at: instant(now), created_by: "another" }),
    );
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    expect(await authorizing(tenant, client)).toContain("/login?request=");
  });

  it("whoever logs account users in is looked for once in a while, and seen at once when made here", async () => {
    const tenant = await createTenant(latchkey, { account_id: newAccountId("T") });
    const headers = { "sec-fetch-site": "same-origin" };
    const ask = () =>
      call(`${latchkey.url}/v1/accounts/${tenant.account_id}/sandbox`, { method: "POST", form: {}, headers });
    const began = performance.now();
    const read = await countOf(/from "clients" where .*settings like/, async () => {
      for (let n = 0; n < 20; n++) await ask();
    });
    expect(read).toBeGreaterThan(0);
    // Where nobody is known, once a second.
    expect(read).toBeLessThanOrEqual(1 + Math.ceil((performance.now() - began) / 1_000));
    const before = await ask();
    await addClient(latchkey, tenant.account_id, { first_party: true, user_type: "account_user" });
    expect((await ask()).status).not.toBe(before.status);
  });
});
