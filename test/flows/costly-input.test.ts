/** What strangers send so that the server works, or answers, out of all proportion. */
import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { exportJWK, importJWK, type JWK, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";

const ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** An RSA key, and the same with its two exponents exchanged: as good, and as costly to check as to sign with. */
async function openKeys() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2_048 });
  const usual = (await exportJWK(privateKey)) as JWK & { e: string; d: string };
  const { e, d } = usual;
  return { usual, costly: { ...usual, e: d, d: e, dp: e, dq: e } };
}

const publicOf = ({ kty = "", n = "", e = "" }: JWK): JWK => ({ kty, n, e });

async function sign(key: JWK, header: object, claims: JWTPayload): Promise<string> {
  return new SignJWT(claims).setProtectedHeader({ alg: "RS256", ...header }).sign(await importJWK(key, "RS256"));
}

describeOnBothEngines("costly input", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  /** Statements that were asked. */
  const asked: string[] = [];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { onQuery: (text) => void asked.push(text) });
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const now = () => Math.floor(Date.now() / 1000);

  it("is told of fifty of its faults, wherever they are", async () => {
    const names = Array.from({ length: 1_000 }, (_, index) => `x${index}`);
    const faulty = "a=%&".repeat(1_000);
    const form = (text: string) => ({
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded" },
      raw: text,
    });
    const { base, token } = tenant;
    const replies = {
      "a form": await call(`${base}/auth/token`, form(faulty)),
      "a query": await call(`${base}/auth/token?${faulty}`, { method: "POST" }),
      "a form that is not encoded": await call(`${base}/auth/token`, form("%ff&".repeat(1_000))),
      "a form and a query": await call(`${base}/auth/authorize?${faulty}`, { ...form(faulty), token }),
      JSON: await call(`${base}/auth/roles`, { method: "POST", token, json: { scope: names.slice(500).map(() => 1) } }),
    };
    for (const [what, { status, body, text }] of Object.entries(replies)) {
      expect([status, body?.error?.errors?.length], `${what} ${text.slice(0, 200)}`).toEqual([400, 50]);
    }
  });

  it("is told of its first fault alone where it holds more than a thousand values", async () => {
    const { base, token } = tenant;
    const numbers = Array.from({ length: 30_000 }, () => 1);
    const unknown = Object.fromEntries(numbers.slice(25_000).map((one, index) => [`x${index}`, one]));
    const json = { redirect_uris: numbers };
    const registered = await call(`${base}/oauth/register`, { method: "POST", json });
    expect([registered.status, registered.body], registered.text.slice(0, 200)).toEqual([
      400,
      {
        error: "invalid_redirect_uri",
        error_description: expect.stringMatching(/^redirect_uris [^;.]*50 entries\.?$/),
      },
    ]);
    for (const [method, path, sent] of [
      ["POST", "auth/roles", { scope: numbers }],
      ["PATCH", `auth/clients/${tenant.client.id}`, unknown],
    ] as const) {
      const { status, body } = await call(`${base}/${path}`, { method, token, json: sent });
      expect([status, body.error.errors.length], path).toEqual([400, 1]);
    }
  });

  it("is no proof by a key that is costly to check, and none without a word on why", async () => {
    const own = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const { usual, costly } = await openKeys();
    const prove = async (key: JWK, jwk: JWK, nonce?: string) => {
      const about = { htm: "POST", htu: `${tenant.issuer}/oauth/token`, jti: randomUUID(), iat: now() };
      const proof = await sign(key, { typ: "dpop+jwt", jwk }, { ...about, ...(nonce ? { nonce } : {}) });
      const headers = { authorization: basic(own), dpop: proof };
      const form = { grant_type: "client_credentials", audience: tenant.audience };
      return call(`${tenant.base}/oauth/token`, { method: "POST", headers, form });
    };
    const nonce = (await prove(usual, publicOf(usual))).headers.get("dpop-nonce") ?? "";
    expect((await prove(usual, publicOf(usual), nonce)).body.token_type).toBe("DPoP");
    const long = { ...publicOf(usual), n: randomBytes(1_024).fill(0xff, 0, 1).toString("base64url") };
    for (const jwk of [publicOf(costly), long]) {
      const { status, body } = await prove(costly, jwk, nonce);
      expect([status, body.error], body.error_description).toEqual([400, "invalid_dpop_proof"]);
      expect(body.error_description).toContain("4,096 bits");
    }
  });

  it("is no client by such a key, and one by another key beside it", async () => {
    const { usual, costly } = await openKeys();
    const jwks = {
      keys: [
        { ...publicOf(costly), kid: "costly" },
        { ...publicOf(usual), kid: "usual" },
      ],
    };
    const own = await addClient(latchkey, tenant.account_id, {
      token_endpoint_auth_method: "private_key_jwt",
      jwks,
    });
    await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
    const ask = async (key: JWK, kid: string) => {
      const about = { iss: own.client_id, sub: own.client_id, aud: tenant.issuer, exp: now() + 60, jti: randomUUID() };
      const client_assertion = await sign(key, { kid }, about);
      const form = { grant_type: "client_credentials", audience: tenant.audience };
      const shown = { client_id: own.client_id, client_assertion, client_assertion_type: ASSERTION };
      return call(`${tenant.base}/oauth/token`, { method: "POST", form: { ...form, ...shown } });
    };
    expect((await ask(usual, "usual")).status).toBe(200);
    const refused = await ask(costly, "costly");
    expect([refused.status, refused.body.error]).toEqual([401, "invalid_client"]);
  });

  /** 60 KB of JSON that take up a megabyte once they are read. */
  const padding = Array.from({ length: 20_000 }, () => ({}));

  const send = (method: string, path: string, json?: object) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });

  it("is not kept beside a client's keys, nor inside one", async () => {
    const key = { ...publicOf((await openKeys()).usual), kid: "1", key_ops: ["verify"] };
    const around = { keys: [key, { ...key, kid: 1 }, null, { ...key, e: key.n }], padding };
    const inside = { keys: [{ ...key, padding }] };
    const { status, body: created, text } = await send("POST", "/auth/clients", { jwks: around });
    expect([status, created.jwks], text.slice(0, 200)).toEqual([200, { keys: [key] }]);
    const path = `/auth/clients/${created.id}`;
    expect((await send("PATCH", path, { jwks: inside })).body.jwks).toEqual({ keys: [key] });
    const redirect_uris = ["https://padded.example/callback"];
    const registered = (await send("POST", "/oauth/register", { redirect_uris, jwks: inside })).body;
    expect(registered.jwks).toEqual({ keys: [key] });
    const rows = await latchkey.server.core.storage.read
      .selectFrom("clients")
      .select("settings")
      .where("account_id", "=", tenant.account_id)
      .execute();
    expect(rows.filter(({ settings }) => settings.length > 5_000)).toEqual([]);
    expect((await send("PATCH", path, { jwks: null })).body.jwks).toBe(null);
  });

  it("is refused where a client has too many keys, or none that could be read", async () => {
    const { usual } = await openKeys();
    const keys = Array.from({ length: 21 }, (_, n) => ({ ...publicOf(usual), n: usual.n?.slice(0, 40), kid: `${n}` }));
    const { id } = (await send("POST", "/auth/clients", { jwks: { keys: keys.slice(1) } })).body;
    for (const [jwks, code] of [
      [{ keys }, "too_many"],
      [{ keys: "x" }, "jwks"],
      [{ padding: [] }, "jwks"],
    ] as const) {
      const fault = expect.objectContaining({ path: "jwks", code });
      for (const [method, path] of [
        ["POST", ""],
        ["PATCH", `/${id}`],
      ] as const) {
        const { status, body } = await send(method, `/auth/clients${path}`, { jwks });
        expect([status, body.error?.errors], `${method} ${code}`).toEqual([400, [fault]]);
      }
      const redirect_uris = ["https://padded.example/callback"];
      const { status, body } = await send("POST", "/oauth/register", { redirect_uris, jwks });
      expect([status, body.error]).toEqual([400, "invalid_client_metadata"]);
    }
  });

  it("is no list of an account's clients: they are read in pages, and of a page of ours one", async () => {
    const own = await createTenant(latchkey);
    const settings = { first_party: true, user_type: "account_user" } as const;
    const made = new Set([own.client.id]);
    for (let n = 0; n < 45; n++) made.add((await addClient(latchkey, own.account_id)).id);
    const staff = await addClient(latchkey, own.account_id, settings);
    made.add(staff.id).add((await addClient(latchkey, own.account_id, settings)).id);
    const ofClients = () => asked.splice(0).filter((text) => /^select .* from "clients"/.test(text));
    ofClients();
    const listed = await call(`${own.base}/auth/clients`, { token: own.token });
    expect([listed.status, listed.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
    expect(listed.body.map(({ id }: { id: string }) => id)).toEqual([...made].toSorted());
    const { secrets: _secrets, ...one } = (await call(`${own.base}/auth/clients/${staff.id}`, { token: own.token }))
      .body;
    expect(listed.body.find(({ id }: { id: string }) => id === staff.id)).toEqual(one);
    const pages = ofClients().filter((text) => text.includes("order by"));
    expect(pages.length).toBeGreaterThan(9);
    expect(pages.filter((text) => !text.includes(" limit "))).toEqual([]);

    const headers = { origin: latchkey.config.public_url, "content-type": "application/x-www-form-urlencoded" };
    const begun = await call(`${own.base}/sandbox`, { method: "POST", headers, raw: "" });
    expect(begun.status, begun.text.slice(0, 200)).toBe(303);
    const looks = ofClients().filter((text) => text.includes("order by"));
    expect(looks).toHaveLength(1);
    expect(looks[0]).toContain(" limit ");
  });

  it("is no list of an account's grants either, of all or of one client's", async () => {
    const own = await createTenant(latchkey);
    for (let n = 0; n < 110; n++)
      await addGrant(latchkey, own.account_id, own.client, `https://api${n}.example`, ["read"]);
    const other = await addClient(latchkey, own.account_id);
    await addGrant(latchkey, own.account_id, other, "https://api0.example", ["read"]);
    const list = async (query: string) => {
      asked.splice(0);
      const { status, body } = await call(`${own.base}/auth/client-grants${query}`, { token: own.token });
      const reads = asked.filter((text) => /^select .* from "grants".*order by/.test(text));
      expect([status, reads.filter((text) => !text.includes(" limit "))]).toEqual([200, []]);
      return body as readonly { id: string; audience: string }[];
    };
    const all = await list("");
    const ids = all.map((grant) => grant.id);
    expect([ids, new Set(ids).size > 111]).toEqual([ids.toSorted(), true]);
    const theirs = await list(`?client_id=${own.client.id}`);
    expect(theirs).toEqual(all.filter((grant) => "client_id" in grant && grant.client_id === own.client.id));
    expect(await list(`?client_id=${other.id}&audience=https%3A%2F%2Fapi0.example`)).toHaveLength(1);
  });

  it("is no list of an account's users with all that they hold", async () => {
    const own = await createTenant(latchkey);
    const manage = (method: string, path: string, json?: object) =>
      call(`${own.base}${path}`, { method, token: own.token, ...(json ? { json } : {}) });
    const roles: { id: string }[] = [];
    for (let n = 0; n < 8; n++)
      roles.push((await manage("POST", "/auth/roles", { name: `${n}`, scope: ["read:accounts"] })).body);
    const made: string[] = [];
    for (let n = 0; n < 55; n++) {
      const some = roles.slice(0, n % 5).map(({ id }) => ({ id }));
      made.push((await manage("POST", "/management/users", { email: `${n}@corp.example`, roles: some })).body.id);
    }
    const { storage } = latchkey.server.core;
    const now = new Date().toISOString();
    const about = { account_id: own.account_id, created_at: now, updated_at: now, scope: "[]", created_by: "test" };
    const many = Array.from({ length: 160 }, (_, n) => ({ ...about, id: `role-${String(n).padStart(3, "0")}` }));
    await storage.write(async ({ db }) => {
      await db.insertInto("roles").values(many).execute();
      const held = many.map(({ id }, n) => ({ account_id: own.account_id, user_id: made[n % 2] ?? "", role_id: id }));
      await db.insertInto("user_roles").values(held).execute();
    });
    const reads = (table: string) => asked.filter((text) => text.startsWith("select") && text.includes(table));
    for (const expand of ["", "?expand=roles"]) {
      asked.splice(0);
      const list = await manage("GET", `/management/users${expand}`);
      expect([list.status, list.headers.get("content-type")]).toEqual([200, "application/json; charset=utf-8"]);
      const pages = reads('from "users"').filter((text) => text.includes("order by"));
      expect([pages.length, pages.filter((text) => !text.includes(" limit "))]).toEqual([6, []]);
      // Their scopes are read where they are shown; a few at a time, and once for all who hold them.
      const scopes = reads('from "roles"').filter((text) => text.includes('"scope"'));
      const counts = scopes.map((text) => text.split(/\$\d+|\?/).length - 2);
      expect(Math.max(0, ...counts), "roles at once").toBe(expand === "" ? 0 : 5);
      const sum = counts.reduce((all, count) => all + count, 0);
      expect(sum, "roles").toBe(expand === "" ? 0 : 4 + many.length);
      expect(list.body.map(({ id }: { id: string }) => id)).toEqual(made);
      for (const n of [0, 1, 4, 9, 54]) {
        const one = (await manage("PUT", `/management/users/${made[n]}${expand}`, {})).body;
        expect({ ...list.body[n], updated_at: "" }).toEqual({ ...one, updated_at: "" });
      }
    }
    const list = async (query: string) => (await manage("GET", `/management/users?${query}`)).body;
    const ids = async (query: string) => (await list(query)).map(({ id }: { id: string }) => id);
    expect(await ids("limit=50")).toEqual(made.slice(0, 50));
    expect(await ids(`limit=51&starting_after=${made[1]}`)).toEqual(made.slice(2, 53));
    expect(await ids("limit=3&search=CORP")).toEqual(made.slice(0, 3));
    expect(await ids("search=nobody")).toEqual([]);
  });

  it("is no user with a hundred long roles: none of them is read before it is refused", async () => {
    const own = await createTenant(latchkey);
    const { storage } = latchkey.server.core;
    const at = new Date().toISOString();
    const scope = JSON.stringify(Array.from({ length: 200 }, (_, n) => `read:accounts:/${n}${"x".repeat(180)}`));
    const about = { account_id: own.account_id, created_at: at, updated_at: at, created_by: "test", scope };
    const roles = Array.from({ length: 100 }, (_, n) => ({ ...about, id: `long-${String(n).padStart(3, "0")}` }));
    await storage.write(({ db }) => db.insertInto("roles").values(roles).execute());
    const manage = (method: string, path: string, ids: readonly { id: string }[], fields = {}) => {
      const json = { ...fields, roles: ids.map(({ id }) => ({ id })) };
      return call(`${own.base}/management/users${path}`, { method, token: own.token, json });
    };
    const user = (await manage("POST", "", [], { email: "few@corp.example" })).body;
    for (const ask of [
      () => manage("POST", "", roles, { email: "many@corp.example" }),
      () => manage("PUT", `/${user.id}`, roles),
    ]) {
      asked.splice(0);
      const { status, body } = await ask();
      expect([status, body.error.errors[0].code]).toEqual([400, "too_many"]);
      expect(body.error.message).toContain("100000 is the limit");
      expect(asked.filter((text) => text.includes('from "roles"') && text.includes(' "scope"'))).toEqual([]);
    }
    expect((await manage("PUT", `/${user.id}`, roles.slice(0, 2))).status).toBe(200);
    expect((await manage("PUT", `/${user.id}`, [{ id: "nothing" }])).status).toBe(404);
  });

  it("is no search that looks at all of an account's rows in one statement", async () => {
    const own = await createTenant(latchkey);
    const { storage } = latchkey.server.core;
    const at = new Date().toISOString();
    const about = { account_id: own.account_id, created_at: at, updated_at: at, created_by: "test" };
    const ids = Array.from({ length: 450 }, (_, n) => `row-${String(n).padStart(3, "0")}`);
    const staff = { ...about, type: "account_user", profile: "{}", scope: "[]" } as const;
    await storage.write(async ({ db }) => {
      const roles = ids.map((id) => ({ ...about, id, name: "Größe", description: id, scope: "[]" }));
      await db.insertInto("roles").values(roles).execute();
      const users = ids.map((id) => ({ ...staff, id, name: "Größe", email: `${id}@x.example`, email_canonical: id }));
      for (const user of users) await db.insertInto("users").values(user).execute();
    });
    for (const [path, table] of [
      ["/auth/roles", "roles"],
      ["/management/users", "users"],
    ] as const) {
      const search = async (query: object) => {
        asked.splice(0);
        const reply = await call(`${own.base}${path}`, { token: own.token, query: { ...query } });
        const looks = asked.filter((text) => text.startsWith("select") && text.includes(`from "${table}"`));
        expect(looks.filter((text) => !/ limit | in \(/.test(text) || / like |replace\(/.test(text))).toEqual([]);
        return { found: (reply.body as { id: string }[]).map(({ id }) => id), looks: looks.length };
      };
      const rare = await search({ search: "W-449" });
      expect([rare.found, rare.looks >= 3], path).toEqual([["row-449"], true]);
      expect((await search({ search: "GRÖSSE", limit: 3 })).found, path).toEqual(ids.slice(0, 3));
      expect((await search({ search: "größe", limit: 3, starting_after: "row-447" })).found).toEqual(ids.slice(448));
      expect((await search({ search: "nobody has this" })).found, path).toEqual([]);
    }
  });
});
