/** Clients that nobody made: registered by themselves, or described by a document; what they may and may not. */
import { randomUUID } from "node:crypto";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { openSurfer } from "../support/surfer.ts";

const BACK = "https://agent.example/back";
const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

describeOnBothEngines("clients of their own", (engine) => {
  let latchkey: Latchkey;
  let open: Tenant;
  let closed: Tenant;
  let web: Receiver;
  const documents = new Map<string, object>();
  beforeAll(async () => {
    web = await openReceiver(({ path }) => {
      const document = documents.get(path);
      return document ? [200, JSON.stringify(document)] : [404, "{}"];
    });
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8", TRUSTED_PROXIES: "127.0.0.1" } });
    open = await createTenant(latchkey, {
      settings: { open_registration: true, public_client_grants: { "https://mcp.example": ["tools:call"] } },
    });
    closed = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const register = (tenant: Tenant, json: object, token?: string) =>
    call(`${tenant.base}/oauth/register`, { method: "POST", json, ...(token ? { token } : {}) });
  const authorizeUrl = (tenant: Tenant, client_id: string, more: Record<string, string> = {}) => {
    const pkce = { code_challenge: CHALLENGE, code_challenge_method: "S256" };
    const about = { client_id, redirect_uri: BACK, response_type: "code", scope: "openid", ...pkce, ...more };
    return `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
  };
  const redeem = (tenant: Tenant, client_id: string, code: string) =>
    call(`${tenant.base}/oauth/token`, {
      method: "POST",
      form: { grant_type: "authorization_code", client_id, code, redirect_uri: BACK, code_verifier: VERIFIER },
    });

  it("register without a token only where the account lets them, and without a secret", async () => {
    const asked = { redirect_uris: [BACK], client_name: "An Agent" };
    const refused = await register(closed, asked);
    expect([refused.status, refused.body.error]).toEqual([401, "invalid_token"]);
    for (const uri of ["http://agent.example/back", "https://agent.example/back#x", "javascript:alert(1)", "agent:/x"])
      expect((await register(open, { redirect_uris: [uri] })).body.error, uri).toBe("invalid_redirect_uri");
    const { status, body } = await register(open, asked);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      client_name: "An Agent",
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code"],
      redirect_uris: [BACK],
    });
    expect(body.client_secret).toBeUndefined();
    const listed = await call(`${open.base}/auth/clients/${body.client_id}`, { token: open.token });
    expect(listed.body).toMatchObject({ origin: "dynamic", first_party: false });
  });

  it("ask people for what the account lets such clients have, with consent that names their host, and nothing else", async () => {
    const { body } = await register(open, { redirect_uris: [BACK], client_name: "An Agent" });
    const surfer = openSurfer(latchkey);
    const { email } = await addUser(latchkey, open.account_id);
    const url = authorizeUrl(open, body.client_id, { resource: "https://mcp.example" });
    const waiting = await surfer.act(await surfer.visit(url), "identify", { identifier: email });
    const code = (await inbox(open, email))[0]?.verification_code ?? "";
    const asked = await surfer.act(waiting, "code", { code });
    expect(asked.html).toContain("An Agent");
    expect(asked.html).toContain("agent.example");
    const answered = new URL((await surfer.act(asked, "allow")).url);
    const tokens = await redeem(open, body.client_id, answered.searchParams.get("code") ?? "");
    expect(tokens.body.scope).toBe("openid tools:call");
    for (const [more, error] of [
      [{ resource: "https://api.shop.example" }, "invalid_target"],
      [{ resource: open.issuer }, "invalid_target"],
      [{ resource: "https://mcp.example", scope: "tools:admin" }, "invalid_scope"],
    ] as const) {
      const shown = await surfer.visit(authorizeUrl(open, body.client_id, more));
      expect(new URL(shown.url).searchParams.get("error"), JSON.stringify(more)).toBe(error);
    }
    const unproven = await surfer.visit(
      authorizeUrl(open, body.client_id, { code_challenge: "", code_challenge_method: "" }),
    );
    expect(new URL(unproven.url).searchParams.get("error")).toBe("invalid_request");
  });

  it("register with a token that may do that and nothing else, also with a secret", async () => {
    const { client, account_id } = closed;
    const registrar = await createTenant(latchkey, { scope: ["create:accounts:/oauth/register"] });
    const json = { redirect_uris: [BACK], grant_types: ["authorization_code", "refresh_token"] };
    const made = await register(registrar, json, registrar.token);
    expect(made.status).toBe(201);
    expect(made.body).toMatchObject({ token_endpoint_auth_method: "client_secret_basic", client_secret_expires_at: 0 });
    expect((await call(`${registrar.base}/auth/clients`, { token: registrar.token })).status).toBe(403);
    expect((await register(closed, json, registrar.token)).status).toBe(401);
    expect((await register(closed, json, await tokenOf(latchkey, account_id, client))).status).toBe(201);
    const wrong = { ...json, grant_types: ["client_credentials"] };
    expect((await register(registrar, wrong, registrar.token)).body.error).toBe("invalid_client_metadata");
    const listed = await call(`${registrar.base}/oauth/token`, {
      method: "POST",
      headers: { authorization: basic(made.body) },
      form: { grant_type: "client_credentials", audience: registrar.issuer },
    });
    expect(listed.status).toBe(400);
  });

  it("look after themselves with their registration token, and after nobody else", async () => {
    const [mine, theirs] = [
      (await register(open, { redirect_uris: [BACK], client_name: "Mine" })).body,
      (await register(open, { redirect_uris: [BACK], client_name: "Theirs" })).body,
    ];
    const at = (client_id: string, token: string, method = "GET", json?: object, tenant = open) =>
      call(`${tenant.base}/oauth/register/${client_id}`, { method, token, ...(json ? { json } : {}) });
    const key = mine.registration_access_token;
    expect((await at(mine.client_id, key)).body).toMatchObject({ client_name: "Mine", redirect_uris: [BACK] });
    expect((await at(theirs.client_id, key)).status).toBe(401);
    expect((await at(open.client.client_id, key)).status).toBe(401);
    expect((await at(mine.client_id, key, "GET", undefined, closed)).status).toBe(401);
    const changed = await at(mine.client_id, key, "PUT", { redirect_uris: ["https://agent.example/new"] });
    expect(changed.body).toMatchObject({ redirect_uris: ["https://agent.example/new"] });
    const grabbing = { redirect_uris: [BACK], token_endpoint_auth_method: "client_secret_basic" };
    const grabbed = await at(mine.client_id, key, "PUT", grabbing);
    expect([grabbed.status, grabbed.body.token_endpoint_auth_method, grabbed.body.client_secret]).toEqual([
      200,
      "none",
      undefined,
    ]);
    expect((await at(mine.client_id, key, "DELETE")).status).toBe(204);
    expect((await at(mine.client_id, key)).status).toBe(401);
    const shown = await openSurfer(latchkey).visit(authorizeUrl(open, mine.client_id));
    expect(shown.status).toBe(400);
  });

  it("prove themselves with keys at their address, and share a sector only where its document says so", async () => {
    const keys = await generateKeyPair("ES256");
    documents.set("/jwks", { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] });
    const json = { redirect_uris: [BACK], token_endpoint_auth_method: "private_key_jwt", jwks_uri: `${web.url}/jwks` };
    const { body } = await register(closed, json, closed.token);
    const assertionOf = (client_id: string, kid: string, key: CryptoKey) =>
      new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: "ES256", kid })
        .setIssuer(client_id)
        .setSubject(client_id)
        .setAudience(closed.issuer)
        .setExpirationTime("1m")
        .sign(key);
    const assertion = await assertionOf(body.client_id, "1", keys.privateKey);
    const type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    const form = { token: "x", client_assertion: assertion, client_assertion_type: type };
    const ask = () => call(`${closed.base}/oauth/introspect`, { method: "POST", form });
    expect((await ask()).body).toEqual({ active: false });
    expect((await ask()).body.error).toBe("invalid_client");
    const proof = async (kid: string, privateKey = keys.privateKey) => {
      const { body: said } = await call(`${closed.base}/oauth/introspect`, {
        method: "POST",
        form: { ...form, client_assertion: await assertionOf(body.client_id, kid, privateKey) },
      });
      return said.error ?? said.active;
    };
    const fresh = await generateKeyPair("ES256");
    documents.set("/jwks", { keys: [{ ...(await exportJWK(fresh.publicKey)), kid: "2", alg: "ES256" }] });
    expect(await proof("2", fresh.privateKey), "with a new key, at once").toBe(false);
    expect(await proof("1"), "with the old one no longer").toBe("invalid_client");
    const asked = web.all.length;
    for (let n = 0; n < 5; n++) expect(await proof(`x${n}`)).toBe("invalid_client");
    expect(web.all.length, "unknown keys make no flood of questions").toBe(asked);
    documents.set("/other", { keys: [{ ...(await exportJWK(keys.publicKey)), kid: "1", alg: "ES256" }] });
    const moved = {
      method: "PUT",
      token: body.registration_access_token,
      json: { ...json, jwks_uri: `${web.url}/other` },
    };
    expect((await call(body.registration_client_uri, moved)).status).toBe(200);
    expect(await proof("1")).toBe(false);
    documents.delete("/other");
    expect(await proof("2"), "with an unknown key, while the address does not answer").toBe("invalid_client");
    expect(await proof("1"), "with the known one, which stays").toBe(false);
    const sector = { redirect_uris: [BACK, "https://other.example/back"], subject_type: "pairwise" };
    expect((await register(closed, sector, closed.token)).body.error).toBe("invalid_client_metadata");
    const named = { ...sector, sector_identifier_uri: `${web.url}/sector` };
    documents.set("/sector", [BACK]);
    expect((await register(closed, named, closed.token)).body.error).toBe("invalid_client_metadata");
    documents.set("/sector", sector.redirect_uris);
    const shared = await register(closed, named, closed.token);
    expect(shared.status, shared.text).toBe(201);
  });

  it("give themselves nothing that is the account's to give, by a registration or by a document", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const grabbed = {
      first_party: true,
      user_type: "account_user",
      signup: true,
      require_pkce: false,
      resource_for: [own.issuer],
      login_uri: BACK,
      custom_claims: ["role"],
      default_audience: own.issuer,
    };
    const plain = { first_party: false, user_type: "customer", signup: false, require_pkce: null, resource_for: [] };
    const shown = async (id: string) =>
      (await call(`${own.base}/auth/clients/${encodeURIComponent(id)}`, { token: own.token })).body;
    const made = (await register(own, { redirect_uris: [BACK], ...grabbed })).body;
    expect(await shown(made.client_id)).toMatchObject(plain);
    const token = made.registration_access_token;
    const json = { redirect_uris: [BACK], ...grabbed };
    expect((await call(made.registration_client_uri, { method: "PUT", token, json })).status).toBe(200);
    expect(await shown(made.client_id)).toMatchObject(plain);
    const asked = { client_id: made.client_id, token: own.token };
    const introspected = await call(`${own.base}/oauth/introspect`, { method: "POST", form: asked });
    expect([introspected.status, introspected.body.error]).toEqual([401, "invalid_client"]);
    const client_id = `${web.url}/grabbing.json`;
    documents.set("/grabbing.json", { client_id, redirect_uris: [BACK], ...grabbed });
    await openSurfer(latchkey).visit(authorizeUrl(own, client_id));
    const { body } = await call(`${own.base}/auth/clients`, { token: own.token });
    const described = (body as { client_id: string }[]).find((one) => one.client_id === client_id);
    expect(described).toMatchObject(plain);
  });

  it("say anew what is theirs to say, and leave what the account has set", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const client_id = `${web.url}/changing.json`;
    const described = { client_id, redirect_uris: [BACK], client_name: "An Agent" };
    documents.set("/changing.json", { ...described, require_pushed_authorization_requests: true });
    await openSurfer(latchkey).visit(authorizeUrl(own, client_id));
    const json = { redirect_uris: [BACK], client_name: "An Agent", post_logout_redirect_uris: [BACK] };
    const made = (await register(own, json)).body;
    const listed = async () => (await call(`${own.base}/auth/clients`, { token: own.token })).body as { id: string }[];
    const settings = { connections: ["email"], signup: true };
    const ids: string[] = [];
    for (const one of (await listed()) as { id: string; client_id: string; origin: string }[]) {
      if (one.origin === "account") continue;
      ids.push(one.id);
      const change = { method: "PATCH", token: own.token, json: settings };
      expect((await call(`${own.base}/auth/clients/${one.id}`, change)).status).toBe(200);
    }
    const token = made.registration_access_token;
    const replaced = await call(made.registration_client_uri, {
      method: "PUT",
      token,
      json: { redirect_uris: [BACK] },
    });
    expect(replaced.body).toMatchObject({ redirect_uris: [BACK], registration_access_token: token });
    expect([replaced.body.client_name, replaced.body.post_logout_redirect_uris]).toEqual([undefined, undefined]);
    expect((await call(made.registration_client_uri, { token })).body.registration_access_token).toBe(token);
    documents.set("/changing.json", { client_id, redirect_uris: [BACK] });
    await latchkey.server.core.storage.write(
      async ({ db }) =>
        void (await db.updateTable("client_registrations").set({ fresh_until: "2020-01-01T00:00:00.000Z" }).execute()),
    );
    const asked = await openSurfer(latchkey).visit(authorizeUrl(own, client_id));
    expect(asked.html, "nothing is to be pushed any more").toContain('value="identify"');
    for (const id of ids) {
      const { body } = await call(`${own.base}/auth/clients/${id}`, { token: own.token });
      expect(body).toMatchObject(settings);
      expect(body.name ?? null).toBeNull();
    }
  });

  it("make no more requests to addresses that they name than they may register", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const json = { redirect_uris: [BACK], sector_identifier_uri: `${web.url}/nobody` };
    const statuses = [];
    for (let n = 0; n < 12; n++) statuses.push((await register(own, json)).status);
    expect(statuses).toEqual([...Array(10).fill(400), 429, 429]);
    expect(web.all.filter(({ path }) => path === "/nobody")).toHaveLength(10);
  });

  it("are stopped after ten in an hour from one address", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const statuses = [];
    for (let n = 0; n < 11; n++) statuses.push((await register(own, { redirect_uris: [BACK] })).status);
    expect(statuses).toEqual([...Array(10).fill(201), 429]);
  });

  it("have a sector's document asked for, and an event written, no more than twenty times an hour by what they change", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const { body: made } = await register(own, { redirect_uris: [BACK] });
    const { registration_client_uri, registration_access_token: token } = made;
    const asked = () => web.all.filter(({ path }) => path.startsWith("/sector-of-others")).length;
    const replies = [];
    for (let n = 0; n < 22; n++) {
      const json = { redirect_uris: [BACK], sector_identifier_uri: `${web.url}/sector-of-others?${n}` };
      replies.push(await call(registration_client_uri, { method: "PUT", token, json }));
    }
    expect(replies.map(({ status }) => status)).toEqual([...Array(20).fill(400), 429, 429]);
    expect(replies.at(-1)?.headers.get("retry-after")).toBeTruthy();
    expect(asked()).toBe(20);
    expect((await call(registration_client_uri, { token })).status).toBe(200);
  });

  it("are counted by the /64 of an IPv6 address", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const from = async (address: string) => {
      const at = { method: "POST", json: { redirect_uris: [BACK] }, headers: { "x-forwarded-for": address } };
      return (await call(`${own.base}/oauth/register`, at)).status;
    };
    const statuses = [];
    for (let n = 0; n < 11; n++) statuses.push(await from(`2001:db8:1:2:${n}::1`));
    expect(statuses).toEqual([...Array(10).fill(201), 429]);
    expect(await from("2001:db8:1:3::1")).toBe(201);
  });

  it("leave room for those who hold a token, however many registered without one", async () => {
    const own = await createTenant(latchkey, { settings: { open_registration: true } });
    const json = { redirect_uris: [BACK], token_endpoint_auth_method: "none" };
    expect((await register(own, json, own.token)).status).toBe(201);
    const { client_id: id } = (await register(own, json)).body;
    const { storage } = latchkey.server.core;
    await storage.write(async ({ db }) => {
      const made = await db.selectFrom("clients").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
      const kept = db.selectFrom("client_registrations").selectAll().where("client_id", "=", id);
      const registered = await kept.executeTakeFirstOrThrow();
      const ids = Array.from({ length: 999 }, () => randomUUID());
      await db
        .insertInto("clients")
        .values(ids.map((id) => ({ ...made, id, client_id: id })))
        .execute();
      await db
        .insertInto("client_registrations")
        .values(ids.map((client_id) => ({ ...registered, client_id })))
        .execute();
      // As if the account had set something at each.
      const clients = db.updateTable("clients").where("account_id", "=", own.account_id);
      await clients.set({ untried_since: null }).execute();
    });
    expect((await register(own, json)).status).toBe(429);
    expect((await register(own, json, own.token)).status).toBe(201);
    const removed = await call(`${own.base}/auth/clients/${id}`, { method: "DELETE", token: own.token });
    expect(removed.status).toBe(200);
    expect((await register(own, json)).status, "in the room of one that the account deleted").toBe(201);
  });

  it("log people in by the address of their document, without any registration", async () => {
    const client_id = `${web.url}/client.json`;
    documents.set("/client.json", { client_id, client_name: "Document Agent", redirect_uris: [BACK] });
    const user = await addUser(latchkey, closed.account_id);
    const surfer = openSurfer(latchkey);
    const waiting = await surfer.act(await surfer.visit(authorizeUrl(closed, client_id)), "identify", {
      identifier: user.email,
    });
    const code = (await inbox(closed, user.email))[0]?.verification_code ?? "";
    const asked = await surfer.act(waiting, "code", { code });
    expect(asked.html).toContain("Document Agent");
    expect(asked.html).toContain(new URL(client_id).host);
    const answered = new URL((await surfer.act(asked, "allow")).url).searchParams;
    const tokens = await redeem(closed, client_id, answered.get("code") ?? "");
    const claims = claimsOf(tokens.body.id_token);
    expect(claims).toMatchObject({ aud: client_id, sub: user.id });
    const count = () => web.all.filter(({ path }) => path === "/client.json").length;
    const before = count();
    await surfer.visit(authorizeUrl(closed, client_id));
    expect(count()).toBe(before);
  });

  it("are refused where a document lies about its address, holds a secret, is too long, or is not there", async () => {
    const own = await createTenant(latchkey);
    const off = await createTenant(latchkey, { settings: { client_id_metadata_documents: false } });
    const at = (path: string, document?: object) => {
      if (document) documents.set(path, document);
      return openSurfer(latchkey).visit(authorizeUrl(own, `${web.url}${path}`));
    };
    const good = { client_id: `${web.url}/a.json`, redirect_uris: [BACK] };
    expect((await at("/other.json", good)).html).toContain("not its address");
    expect((await at("/a.json", { ...good, client_secret: "x" })).html).toContain("holds a secret");
    expect((await at("/b.json", { ...good, client_id: `${web.url}/b.json`, x: "x".repeat(6_000) })).status).toBe(400);
    expect((await at("/missing.json")).html).toContain("answered 404");
    documents.set("/a.json", good);
    const shown = await openSurfer(latchkey).visit(authorizeUrl(own, `${web.url}/a.json?x=1#y`));
    expect(shown.status).toBe(400);
    expect((await openSurfer(latchkey).visit(authorizeUrl(off, `${web.url}/a.json`))).html).toContain("no such client");
  });
});
