/** What lists and look-ups ask the database for, where somebody asks for them again and again. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { insertGrant } from "../../src/directory/grants/store.ts";
import { uuidv7 } from "../../src/secrets/uuid.ts";
import { instant } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  newAccountId,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";

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

  const authorizing = async (tenant: Tenant, { client_id }: { readonly client_id: string }) => {
    const pkce = { code_challenge: "x".repeat(43), code_challenge_method: "S256" };
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
