/** Clients that registered themselves: what people agreed to by one host is no other's, and they get nothing unasked. */
import { exportJWK, generateKeyPair } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { lookUpClient } from "../../src/directory/clients/find-client.ts";
import { cacheKey } from "../../src/directory/directory.ts";
import type { Oauth } from "../../src/oauth/oauth.ts";
import { registerClient } from "../../src/oauth/registration/register.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import type { Latchkey, Tenant } from "../support/latchkey.ts";
import { actor, addUser, call, createTenant, inbox, startLatchkey } from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, pkce, VERIFIER } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const BANK = "https://trusted-bank.example/cb";
const EVIL = "https://evil.example/cb";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const LASTING = ["authorization_code", "refresh_token"];

interface Made {
  readonly client_id: string;
  readonly client_secret?: string;
  readonly registration_access_token: string;
  readonly registration_client_uri: string;
}

describeOnBothEngines("registered clients", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  const documents = new Map<string, object>();
  beforeAll(async () => {
    web = await openReceiver(({ path }) => [documents.has(path) ? 200 : 404, JSON.stringify(documents.get(path))]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const register = async (redirect_uris: readonly string[], more: object = {}) => {
    const json = { redirect_uris, token_endpoint_auth_method: "none", ...more };
    const made = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
    expect(made.status, made.text).toBe(201);
    return made.body as Made;
  };
  const replace = ({ registration_client_uri, registration_access_token: token }: Made, json: object) =>
    call(registration_client_uri, { method: "PUT", token, json });
  const address = ({ client_id }: Pick<Made, "client_id">, redirect_uri: string, more: Record<string, string> = {}) => {
    const about = { client_id, redirect_uri, response_type: "code", scope: "openid email", ...pkce, ...more };
    return `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
  };
  const redeem = ({ client_id }: Pick<Made, "client_id">, code: string | null, redirect_uri: string) => {
    const form = { grant_type: "authorization_code", client_id, code: code ?? "", redirect_uri };
    return call(`${tenant.base}/oauth/token`, { method: "POST", form: { ...form, code_verifier: VERIFIER } });
  };
  const refresh = ({ client_id }: Pick<Made, "client_id">, refresh_token: string) =>
    call(`${tenant.base}/oauth/token`, {
      method: "POST",
      form: { grant_type: "refresh_token", client_id, refresh_token },
    });
  const asks = ({ html }: Shown) => html.includes('value="allow"');

  /** As far as the page that asks for consent, with the mail that led there. */
  async function askedAt(surfer: Surfer, url: string, form?: Record<string, string>) {
    const { email } = await addUser(latchkey, tenant.account_id);
    const waiting = await surfer.act(await surfer.visit(url, form), "identify", { identifier: email });
    const [mail] = await inbox(tenant, email);
    return { mail, page: await surfer.act(waiting, "code", { code: mail?.verification_code ?? "" }) };
  }

  it("are never without the row that tells since when nobody has used them", async () => {
    const { core } = latchkey.server;
    const { storage } = core.directory;
    const own = await createTenant(latchkey);
    let writes = 0;
    // As if killed after what it had first committed.
    const write = (run: Parameters<typeof storage.write>[0]) =>
      writes++ === 0 ? storage.write(run) : Promise.reject(new Error("killed"));
    const directory = { ...core.directory, storage: Object.create(storage, { write: { value: write } }) };
    const asked = { allowed: true, actor, source: "127.0.0.1" };
    await registerClient({ directory } as Oauth, own.account_id, { redirect_uris: [BANK] }, asked).catch(() => {});
    const of = (table: "clients" | "client_registrations") =>
      storage.read.selectFrom(table).select("account_id").where("account_id", "=", own.account_id).execute();
    const made = (await of("clients")).length - 1;
    expect([made, await of("client_registrations")]).toEqual([1, [{ account_id: own.account_id }]]);
  });

  it("are in one sector alone, also where private schemes stand for hosts", async () => {
    const redirect_uris = ["com.shop.app:/cb", "com.evil.app:/cb"];
    const json = { redirect_uris, token_endpoint_auth_method: "none", subject_type: "pairwise" };
    const made = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
    expect([made.status, made.body.error]).toEqual([400, "invalid_client_metadata"]);
  });

  it("have people's consent at the host that it was shown with, and are asked for at their others", async () => {
    const made = await register([BANK, EVIL]);
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(made, BANK));
    expect(page.html).toContain("It comes from trusted-bank.example.");
    expect((await surfer.act(page, "allow")).url).toContain(`${BANK}?code=`);
    expect((await surfer.visit(address(made, BANK))).url, "there they agreed").toContain(`${BANK}?code=`);
    const silent = await surfer.visit(address(made, EVIL, { prompt: "none" }));
    expect(silent.url, "not even an error").not.toContain(EVIL);
    const other = await surfer.visit(address(made, EVIL));
    expect([other.url.startsWith(EVIL), asks(other)]).toEqual([false, true]);
    expect(other.html).toContain("It comes from evil.example.");
  });

  it("have it no more at a host that they moved to, nor by a page that they moved away under", async () => {
    const made = await register([BANK]);
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(made, BANK));
    await surfer.act(page, "allow");
    const open = await surfer.visit(address(made, BANK, { prompt: "consent" }));
    expect((await replace(made, { redirect_uris: [EVIL] })).status).toBe(200);
    expect((await surfer.act(open, "allow")).url).not.toContain(`${BANK}?code=`);
    expect(asks(await surfer.visit(address(made, EVIL)))).toBe(true);
  });

  it("have none at any host by a device's code, whose page names none", async () => {
    const made = await register([BANK, EVIL], { grant_types: ["authorization_code", DEVICE] });
    const form = { client_id: made.client_id, scope: "openid email" };
    const { body } = await call(`${tenant.base}/oauth/device_authorization`, { method: "POST", form });
    const surfer = openSurfer(latchkey);
    const begun = await surfer.visit(`${tenant.issuer}/device`, { user_code: body.user_code });
    const { email } = await addUser(latchkey, tenant.account_id);
    const waiting = await surfer.act(begun, "identify", { identifier: email });
    const [mail] = await inbox(tenant, email);
    const page = await surfer.act(waiting, "code", { code: mail?.verification_code ?? "" });
    expect(page.html).not.toContain("trusted-bank.example");
    await surfer.act(page, "allow");
    for (const there of [BANK, EVIL]) expect(asks(await surfer.visit(address(made, there))), there).toBe(true);
  });

  it("are led to unseen, with an error or from the logout, at the host that a person agreed to alone", async () => {
    const [bye, elsewhere] = ["https://trusted-bank.example/bye", "https://evil.example/bye"];
    const made = await register([BANK, EVIL], { post_logout_redirect_uris: [bye, elsewhere] });
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(made, BANK));
    const { body } = await redeem(made, answered(await surfer.act(page, "allow")).get("code"), BANK);
    const wrong = { response_type: "token" };
    expect((await surfer.visit(address(made, BANK, wrong))).url).toContain(`${BANK}#error=`);
    expect((await surfer.visit(address(made, EVIL, wrong))).status).toBe(400);
    const leave = (post_logout_redirect_uri: string, id_token_hint: string) => {
      const query = new URLSearchParams({ client_id: made.client_id, post_logout_redirect_uri, id_token_hint });
      return surfer.visit(`${tenant.issuer}/oauth/logout?${query}`);
    };
    const left = await leave(elsewhere, body.id_token);
    expect([left.status, left.url.startsWith(elsewhere)]).toEqual([200, false]);
    const back = await askedAt(surfer, address(made, BANK));
    const again = await redeem(made, answered(await surfer.act(back.page, "allow")).get("code"), BANK);
    expect((await leave(bye, again.body.id_token)).url).toBe(bye);
  });

  it("are named in messages by the host that the login leads to", async () => {
    const made = await register([BANK, EVIL]);
    const { mail } = await askedAt(openSurfer(latchkey), address(made, EVIL));
    expect(mail?.text).toContain("evil.example");
    expect(mail?.text).not.toContain("trusted-bank.example");
  });

  it("learn nobody's sub of another sector by moving there, whichever way round", async () => {
    const shop = "https://shop.example/callback";
    const pair = { subject_type: "pairwise", grant_types: LASTING };
    const made = await register([EVIL], pair);
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(made, EVIL));
    const { body } = await redeem(made, answered(await surfer.act(page, "allow")).get("code"), EVIL);
    const { sub } = claimsOf(body.id_token);
    const moved = await replace(made, { ...pair, redirect_uris: [shop] });
    expect([moved.status, moved.body.error]).toEqual([400, "invalid_client_metadata"]);
    expect((await replace(made, { ...pair, redirect_uris: ["https://evil.example/new"] })).status).toBe(200);
    const refreshed = await refresh(made, body.refresh_token);
    const told = await call(`${tenant.base}/oauth/userinfo`, { token: refreshed.body.access_token });
    expect(told.body.sub, told.text).toBe(sub);
    const open = { grant_types: LASTING, redirect_uris: [shop] };
    expect((await replace(made, open)).status, "as a public one, which learns no sector's").toBe(200);
    expect((await replace(made, { ...open, ...pair })).body.error).toBe("invalid_client_metadata");
  });

  it("learn it by a document that moves no more than by a registration", async () => {
    const client_id = `${web.url}/moving.json`;
    const document = { client_id, redirect_uris: [EVIL], subject_type: "pairwise" };
    documents.set("/moving.json", document);
    expect((await openSurfer(latchkey).visit(address({ client_id }, EVIL))).status).toBe(200);
    documents.set("/moving.json", { ...document, redirect_uris: [BANK] });
    await letPass(latchkey, "client_registrations", tenant.account_id, 600, ["fresh_until"]);
    const shown = await openSurfer(latchkey).visit(address({ client_id }, BANK));
    expect([shown.status, shown.html.includes("sector")]).toEqual([400, true]);
  });

  it("stay logged in while a person is away only where the page says so", async () => {
    const lasting = await register([EVIL], { grant_types: LASTING });
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(lasting, EVIL));
    expect(page.html).toContain("stay logged in while you are away");
    const { body } = await redeem(lasting, answered(await surfer.act(page, "allow")).get("code"), EVIL);
    expect([typeof body.refresh_token, body.scope]).toEqual(["string", "openid email"]);
    const short = await register([EVIL]);
    const asked = await askedAt(openSurfer(latchkey), address(short, EVIL));
    expect(asked.page.html).not.toContain("stay logged in while you are away");
  });

  it("get no refresh token for the grant that they named only after the person had agreed", async () => {
    const made = await register([EVIL]);
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(made, EVIL));
    const code = answered(await surfer.act(page, "allow")).get("code");
    expect((await replace(made, { redirect_uris: [EVIL], grant_types: LASTING })).status).toBe(200);
    const { body } = await redeem(made, code, EVIL);
    expect([typeof body.access_token, body.refresh_token]).toEqual(["string", undefined]);
    expect(asks(await surfer.visit(address(made, EVIL))), "asked again for what it would get now").toBe(true);
  });

  it("write back what they read, with what the account gave them, and neither take more nor give it up", async () => {
    const made = await register([BANK], { token_endpoint_auth_method: "client_secret_basic" });
    const given = ["authorization_code", "refresh_token", "client_credentials"];
    const change = { method: "PATCH", token: tenant.token, json: { grant_types: given } };
    const changed = await call(`${tenant.base}/auth/clients/${made.client_id}`, change);
    expect(changed.status, changed.text).toBe(200);
    const { body } = await call(made.registration_client_uri, { token: made.registration_access_token });
    expect(body.grant_types).toEqual(given);
    const kept = await replace(made, { ...body, client_name: "The Bank" });
    expect([kept.status, kept.body.grant_types, kept.body.client_name], kept.text).toEqual([200, given, "The Bank"]);
    const more = { redirect_uris: [BANK], grant_types: [...given, EXCHANGE] };
    expect((await replace(made, more)).body.grant_types, "more").toEqual(given);
    const less = await replace(made, { redirect_uris: [BANK] });
    expect(less.body.grant_types, "left out").toEqual(given);
  });

  it("take back nothing that the account has just taken, at a process that still remembers it", async () => {
    const { directory } = latchkey.server.core;
    /** What the account does at another process: this one goes on with what it knew. */
    async function elsewhere({ client_id }: Pick<Made, "client_id">, json: object) {
      const before = await lookUpClient(directory, tenant.account_id, client_id);
      const at = `${tenant.base}/auth/clients/${before?.id}`;
      expect((await call(at, { method: "PATCH", token: tenant.token, json })).status).toBe(200);
      await directory.clients.get(cacheKey(tenant.account_id, client_id), async () => before);
    }
    const settingsOf = async ({ client_id }: Pick<Made, "client_id">) =>
      (await call(`${tenant.base}/auth/clients/${encodeURIComponent(client_id)}`, { token: tenant.token })).body;
    const token_endpoint_auth_method = "client_secret_basic";
    const grant_types = ["authorization_code", EXCHANGE];
    const json = { redirect_uris: [BANK] };

    const given = await register([BANK], { token_endpoint_auth_method });
    await elsewhere(given, { grant_types });
    directory.clients.clear();
    await elsewhere(given, { grant_types: ["authorization_code"] });
    expect((await replace(given, { ...json, grant_types })).body.grant_types, "grant").toEqual(["authorization_code"]);
    expect((await settingsOf(given)).grant_types).toEqual(["authorization_code"]);

    const { publicKey } = await generateKeyPair("ES256");
    const jwks = { keys: [await exportJWK(publicKey)] };
    const known = await register([BANK], { token_endpoint_auth_method });
    await elsewhere(known, { token_endpoint_auth_method: "private_key_jwt", jwks });
    const weaker = await replace(known, { ...json, token_endpoint_auth_method });
    expect(weaker.body.token_endpoint_auth_method, "how it proves itself").toBe("private_key_jwt");
    expect((await settingsOf(known)).token_endpoint_auth_method).toBe("private_key_jwt");

    const moved = await register([BANK], { subject_type: "pairwise" });
    await elsewhere(moved, { subject_type: "public" });
    const back = await replace(moved, { ...json, subject_type: "pairwise" });
    expect([back.status, back.body.subject_type], "a sector").toEqual([200, "public"]);

    const client_id = `${web.url}/taken.json`;
    documents.set("/taken.json", { client_id, ...json, subject_type: "pairwise" });
    await openSurfer(latchkey).visit(address({ client_id }, BANK));
    await elsewhere({ client_id }, { subject_type: "public" });
    await letPass(latchkey, "client_registrations", tenant.account_id, 600, ["fresh_until"]);
    expect((await openSurfer(latchkey).visit(address({ client_id }, BANK))).status).toBe(200);
    const described = await lookUpClient(directory, tenant.account_id, client_id);
    expect(described?.settings.subject_type, "by a document").toBe("public");
  });

  it("change neither their client_id nor their secret", async () => {
    const made = await register([BANK], { token_endpoint_auth_method: "client_secret_basic" });
    const open = await register([EVIL]);
    const redirect_uris = ["https://trusted-bank.example/new"];
    const { client_id, client_secret } = made;
    for (const [own, wrong] of [
      [made, { client_id: open.client_id }],
      [made, { client_id, client_secret: "of its own choice, and of good length" }],
      [open, { client_id: open.client_id, client_secret }],
    ] as const) {
      const { status, body } = await replace(own, { redirect_uris, ...wrong });
      expect([status, body.error], JSON.stringify(wrong)).toEqual([400, "invalid_request"]);
    }
    const shown = await call(made.registration_client_uri, { token: made.registration_access_token });
    expect(shown.body.redirect_uris, "nor anything beside them").toEqual([BANK]);
    for (const right of [{}, { client_id }, { client_id, client_secret }])
      expect((await replace(made, { redirect_uris, ...right })).status, JSON.stringify(right)).toBe(200);
  });

  it("may write null for what they leave out", async () => {
    const nothing = { client_name: null, jwks: null, jwks_uri: null, grant_types: null, logo_uri: null };
    const made = await register([BANK], nothing);
    const shown = await call(made.registration_client_uri, { token: made.registration_access_token });
    expect(shown.body).not.toHaveProperty("client_name");
    expect((await replace(made, { redirect_uris: [BANK], client_name: "The Bank" })).body.client_name).toBe("The Bank");
    const replaced = await replace(made, { redirect_uris: [BANK], client_secret: null, ...nothing });
    expect([replaced.status, "client_name" in replaced.body], replaced.text).toEqual([200, false]);
    expect((await replace(made, { redirect_uris: null })).body.error).toBe("invalid_redirect_uri");
    const client_id = `${web.url}/nulls.json`;
    documents.set("/nulls.json", { client_id, redirect_uris: [EVIL], client_secret: null, ...nothing });
    expect((await openSurfer(latchkey).visit(address({ client_id }, EVIL))).status).toBe(200);
  });

  it("get no secret beside the key that they prove themselves by", async () => {
    const { publicKey } = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }] };
    const made = await register([EVIL], { token_endpoint_auth_method: "private_key_jwt", jwks });
    expect(made).not.toHaveProperty("client_secret");
    expect(made).not.toHaveProperty("client_secret_expires_at");
    const kept = latchkey.server.core.storage.read.selectFrom("client_secrets").select("id");
    expect(await kept.where("client_id", "=", made.client_id).execute()).toEqual([]);
  });

  it("need no redirect URI where they are devices alone", async () => {
    const made = await register([], { grant_types: [DEVICE, "refresh_token"], redirect_uris: undefined });
    const form = { client_id: made.client_id, scope: "openid email" };
    const { body } = await call(`${tenant.base}/oauth/device_authorization`, { method: "POST", form });
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, `${tenant.issuer}/device`, { user_code: body.user_code });
    expect(page.html).toContain("Nobody knows where it comes from.");
    await surfer.act(page, "allow");
    const got = { grant_type: DEVICE, client_id: made.client_id, device_code: body.device_code };
    expect((await call(`${tenant.base}/oauth/token`, { method: "POST", form: got })).status).toBe(200);
    const shown = await call(made.registration_client_uri, { token: made.registration_access_token });
    expect((await replace(made, shown.body)).status, "what it read").toBe(200);
    const both = { grant_types: ["authorization_code", DEVICE] };
    expect((await replace(made, both)).body.error, "codes go somewhere").toBe("invalid_redirect_uri");
    expect((await replace(made, { grant_types: ["refresh_token"] })).body.error).toBe("invalid_redirect_uri");
    const moved = await replace(made, { ...both, redirect_uris: [EVIL] });
    expect(moved.status, moved.text).toBe(200);
    expect(asks(await surfer.visit(address(made, EVIL))), "nobody agreed to that host").toBe(true);
    const other = await register([], { grant_types: [DEVICE], redirect_uris: undefined });
    const json = { grant_types: ["client_credentials"] };
    const at = `${tenant.base}/auth/clients/${other.client_id}`;
    expect((await call(at, { method: "PATCH", token: tenant.token, json })).status).toBe(200);
    const read = await call(other.registration_client_uri, { token: other.registration_access_token });
    expect((await replace(other, read.body)).status, "with the grant that it was given instead").toBe(200);
  });

  it("are in no sector whose document names nothing of theirs", async () => {
    documents.set("/sector.json", [BANK]);
    const pair = { subject_type: "pairwise", sector_identifier_uri: `${web.url}/sector.json` };
    const json = { grant_types: [DEVICE], token_endpoint_auth_method: "none", ...pair };
    const made = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
    expect([made.status, made.body.error]).toEqual([400, "invalid_client_metadata"]);
  });

  it("are told in the words of RFC 7591 what is wrong with what they say", async () => {
    const made = await register([BANK]);
    const long = Array.from({ length: 51 }, (_, at) => `https://a.example/${at}`);
    const refused = Object.entries({
      invalid_redirect_uri: [[BANK, BANK], long, [""], [5], 5].map((redirect_uris) => ({ redirect_uris })),
      invalid_client_metadata: [
        ...[{ client_name: 5 }, { client_name: "a".repeat(201) }, { dpop_bound_access_tokens: "true" }],
        ...[{ grant_types: [DEVICE, DEVICE] }, { post_logout_redirect_uris: [""] }, { jwks: [] }],
        ...[{ backchannel_logout_uri: "x" }, { sector_identifier_uri: "https://" }].map((none) => ({
          subject_type: "pairwise",
          ...none,
        })),
      ].map((more) => ({ redirect_uris: [BANK], ...more })),
    });
    for (const [code, all] of refused) {
      for (const json of all) {
        const first = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
        for (const { status, body } of [first, await replace(made, json)])
          expect([status, body.error, typeof body.error_description], JSON.stringify(json)).toEqual([
            400,
            code,
            "string",
          ]);
      }
    }
    const elsewhere = await call(`${latchkey.url}/v1/accounts/X1/oauth/register`, { method: "POST", json: {} });
    expect([elsewhere.status, elsewhere.body.error], "an account that is none").toEqual([400, "invalid_request"]);
  });

  it("may write nothing for what they leave out", async () => {
    const nothing = { client_name: "", jwks_uri: "", backchannel_logout_uri: "", subject_type: "", logo_uri: "" };
    const made = await register([BANK], {
      client_name: "The Bank",
      backchannel_logout_uri: "https://trusted-bank.example/out",
    });
    const replaced = await replace(made, { redirect_uris: [BANK], client_secret: "", ...nothing });
    expect(replaced.status, replaced.text).toBe(200);
    for (const name of ["client_name", "backchannel_logout_uri"]) expect(replaced.body).not.toHaveProperty(name);
    expect(await register([BANK], nothing)).not.toHaveProperty("client_name");
    expect((await replace(made, { redirect_uris: "" })).body.error).toBe("invalid_redirect_uri");
  });
});
