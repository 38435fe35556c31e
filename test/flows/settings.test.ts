/** Settings that no other test changes: somebody gets to see another thing for each of them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { AccountSettings } from "../../src/directory/accounts/settings.ts";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { sweepsOf } from "../../src/start-server.ts";
import { claimsOf, headerOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  askForCode,
  authorize,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, personToken, token } from "../support/people.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const HOUR = 3_600;
const OTHER_NAME = "https://accounts.shop.example";

const lifeOf = (jwt: string) => claimsOf(jwt).exp - claimsOf(jwt).iat;

interface Row {
  readonly settings?: Partial<AccountSettings>;
  readonly client?: Partial<ClientSettings>;
  readonly see: (tenant: Tenant, latchkey: Latchkey) => Promise<unknown>;
  /** What is seen without the setting, and with it. */
  readonly usual: unknown;
  readonly changed: unknown;
}

/** Statuses of refreshing, each time so many seconds after the last. */
async function refreshAfter(tenant: Tenant, latchkey: Latchkey, pauses: readonly number[]) {
  const about = { ident_type: "user_id", ident: tenant.user.id, audience: tenant.audience };
  const login = { grant_type: "authorization_code", ...about, verification_code: await mintCode(tenant) };
  let { refresh_token } = (await token(tenant, login)).body;
  const statuses = [];
  for (const seconds of pauses) {
    await letPass(latchkey, "refresh_families", tenant.account_id, seconds);
    const { status, body } = await token(tenant, { grant_type: "refresh_token", refresh_token });
    statuses.push(status);
    refresh_token = body.refresh_token;
  }
  return statuses;
}

/** Seconds between the making of a key and its first use, once the old one is old. */
async function leadOf({ account_id }: Tenant, { server: { core } }: Latchkey) {
  const { storage } = core;
  const at = new Date(storage.now() - 91 * 24 * HOUR * 1000).toISOString();
  const times = { created_at: at, active_at: at };
  await storage.write(
    async ({ db }) =>
      void (await db.updateTable("signing_keys").set(times).where("account_id", "=", account_id).execute()),
  );
  await sweepsOf(core)
    .find(({ name }) => name === "signing keys")
    ?.sweep(storage, 100);
  const keys = storage.read.selectFrom("signing_keys").select(["created_at", "active_at"]);
  const [made] = await keys.where("account_id", "=", account_id).where("created_at", ">", at).execute();
  return (Date.parse(made?.active_at ?? "") - Date.parse(made?.created_at ?? "")) / 1000;
}

/** How many messages go to the address and to the number of who has lost their password. */
async function recoveryOf(tenant: Tenant, latchkey: Latchkey) {
  const { email, phone_number } = await addPerson(latchkey, tenant.account_id);
  const json = { audience: tenant.audience, type: "customer", ident_type: "email", ident: email };
  await call(`${tenant.base}/customers/mfa_login_recovery`, { method: "POST", token: tenant.token, json });
  return [(await inbox(tenant, email)).length, (await inbox(tenant, phone_number)).length];
}

/** Whether the account API is to be had under another name: the statuses of asking for a token, and of using it. */
async function otherName(tenant: Tenant) {
  const json = { grant_type: "client_credentials", audience: OTHER_NAME };
  const headers = { authorization: basic(tenant.client) };
  const { status, body } = await call(`${tenant.base}/auth/token`, { method: "POST", headers, json });
  return [status, (await call(`${tenant.base}/auth/clients`, { token: `${body.access_token}` })).status];
}

/** With what a request is answered that brings no challenge. */
async function withoutChallenge(tenant: Tenant, latchkey: Latchkey, more: Readonly<Record<string, string>>) {
  const url = standardClient(latchkey, tenant, tenant.client).address(tenant.client, more);
  return answered(await openSurfer(latchkey).visit(url)).get("error");
}

/** Languages of a message, the same once more, one about a second factor, and a page. */
async function languagesOf(tenant: Tenant, latchkey: Latchkey) {
  const person = await addPerson(latchkey, tenant.account_id, { factors: ["email"] });
  const newest = async (to: string) => /<html lang="(\w+)">/.exec((await inbox(tenant, to))[0]?.html ?? "")?.[1];
  const login_session_id = (await askForCode(tenant)).headers.get("login-session-id") ?? "";
  const first = await newest(tenant.user.email);
  await letPass(latchkey, "verification_codes", tenant.account_id, 31);
  await askForCode(tenant, { login_session_id });
  expect(await inbox(tenant, tenant.user.email)).toHaveLength(2);
  const password = { grant_type: "password", username: person.email, password: PASSWORD, audience: tenant.audience };
  const { mfa_token } = (await token(tenant, password)).body;
  const json = { challenge_type: "oob", mfa_token, oob_channel: "email" };
  await call(`${tenant.base}/auth/mfa/challenge`, { method: "POST", token: tenant.token, json });
  const page = await openSurfer(latchkey).visit(`${tenant.issuer}/device`);
  const shown = /<html lang="(\w+)">/.exec(page.html)?.[1];
  return [first, await newest(tenant.user.email), await newest(person.email), shown];
}

const rows: Readonly<Record<string, Row>> = {
  signing_alg: {
    settings: { signing_alg: "EdDSA" },
    see: async (tenant) => [headerOf(tenant.token).alg, headerOf(await personToken(tenant)).alg],
    usual: ["ES256", "ES256"],
    changed: ["EdDSA", "EdDSA"],
  },
  access_token_lifetime: {
    settings: { access_token_lifetime: 300 },
    see: async (tenant) => [lifeOf(tenant.token), lifeOf(await personToken(tenant))],
    usual: [14_400, 14_400],
    changed: [300, 300],
  },
  redirect_id_token_lifetime: {
    settings: { redirect_id_token_lifetime: 45 },
    see: async (tenant) => {
      const reply = await authorize(tenant, { verification_code: await mintCode(tenant) });
      return lifeOf(new URL(reply.headers.get("location") ?? "").searchParams.get("id_token") ?? "");
    },
    usual: 120,
    changed: 45,
  },
  refresh_idle_lifetime: {
    settings: { refresh_idle_lifetime: HOUR },
    see: async (tenant, latchkey) => [
      await refreshAfter(tenant, latchkey, [HOUR]),
      await refreshAfter(tenant, latchkey, [HOUR / 2, HOUR / 2, HOUR]),
    ],
    usual: [[200], [200, 200, 200]],
    changed: [[400], [200, 200, 400]],
  },
  refresh_lifetime: {
    settings: { refresh_lifetime: 2 * HOUR },
    see: (tenant, latchkey) => refreshAfter(tenant, latchkey, [HOUR, HOUR / 2, HOUR / 2]),
    usual: [200, 200, 200],
    changed: [200, 200, 400],
  },
  key_publication_lead: {
    settings: { key_publication_lead: 2 * HOUR },
    see: leadOf,
    usual: 24 * HOUR,
    changed: 2 * HOUR,
  },
  mfa_recovery_channel: {
    settings: { mfa_recovery_channel: "sms" },
    see: recoveryOf,
    usual: [1, 0],
    changed: [0, 1],
  },
  api_audiences: {
    settings: { api_audiences: [OTHER_NAME] },
    see: otherName,
    usual: [403, 401],
    changed: [200, 200],
  },
  locale: {
    settings: { locale: "nb" },
    see: languagesOf,
    usual: ["en", "en", "en", "en"],
    changed: ["nb", "nb", "nb", "nb"],
  },
  "require_pkce: true": {
    client: { require_pkce: true },
    see: (tenant, latchkey) => withoutChallenge(tenant, latchkey, {}),
    usual: null,
    changed: "invalid_request",
  },
  "require_pkce: false": {
    client: { require_pkce: false },
    see: (tenant, latchkey) => withoutChallenge(tenant, latchkey, { scope: "orders:read", resource: tenant.audience }),
    usual: "invalid_request",
    changed: null,
  },
};

describeOnBothEngines("the setting", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  it.each(Object.entries(rows))("%s counts", async (_name, { settings = {}, client = {}, see, usual, changed }) => {
    expect(await see(await createTenant(latchkey), latchkey), "as it is").toEqual(usual);
    expect(await see(await createTenant(latchkey, { settings, client }), latchkey), "as it was set").toEqual(changed);
  });

  it("locale names a language that messages are written in, and gives it to those who name another", async () => {
    const { base, token, ...tenant } = await createTenant(latchkey, { settings: { locale: "sv-FI" } });
    const change = (locale: string) => call(`${base}/auth/settings`, { method: "PATCH", token, json: { locale } });
    const refused = await change("fr");
    expect([refused.status, refused.body.error.errors]).toMatchObject([400, [{ path: "locale", code: "language" }]]);
    expect(refused.body.error.message).toContain("en, nb, sv, da, de");
    for (const locale of ["de-AT", "NN", "no", "da"]) expect((await change(locale)).status, locale).toBe(200);
    const french = await addUser(latchkey, tenant.account_id, { locale: "fr" });
    const german = await addUser(latchkey, tenant.account_id, { locale: "de" });
    for (const [person, json, says] of [
      [french, {}, "da"],
      [german, {}, "de"],
      [german, { locale: "is" }, "de"],
      [french, { locale: "sv" }, "sv"],
    ] as const) {
      const { email } = person;
      await letPass(latchkey, "verification_codes", tenant.account_id, 31);
      const asked = {
        ...json,
        client_id: tenant.client.client_id,
        audience: tenant.audience,
        connection: "email",
        email,
      };
      const { status } = await call(`${base}/auth/passwordless`, { method: "POST", token, json: asked });
      const [newest] = await inbox({ ...tenant, base, token }, email);
      expect([status, newest?.html], says).toEqual([204, expect.stringContaining(`<html lang="${says}">`)]);
    }
  });

  it("no audience is the server's own, or none", async () => {
    const { base, token } = await createTenant(latchkey);
    for (const audience of ["urn:latchkey:login:abc", "urn:latchkey:", ""])
      for (const json of [{ api_audiences: [audience] }, { public_client_grants: { [audience]: ["x"] } }]) {
        const { status, body } = await call(`${base}/auth/settings`, { method: "PATCH", token, json });
        expect([status, body.error.code], JSON.stringify(json)).toEqual([400, "invalid_request"]);
      }
    const json = { api_audiences: ["urn:shop"], public_client_grants: { "urn:shop:api": ["x"] } };
    expect((await call(`${base}/auth/settings`, { method: "PATCH", token, json })).status).toBe(200);
  });

  it("jwks is fetched by https, or from this machine", async () => {
    const { base, token } = await createTenant(latchkey);
    const name = "IdP";
    const issuer = "https://idp.example";
    for (const [uri, status] of [
      ["http://idp.example/jwks", 400],
      ["ftp://idp.example/jwks", 400],
      ["https://", 400],
      ["https://user@idp.example/jwks", 400],
      ["https://user:password@idp.example/jwks", 400],
      ["https://idp.example/jwks", 200],
      ["http://127.0.0.1:9/jwks", 200],
    ] as const) {
      const json = { jwks: { name, uri, issuer } };
      expect((await call(`${base}/auth/settings`, { method: "PATCH", token, json })).status, uri).toBe(status);
    }
  });

  it("the issuer of a grant's provider is an address by https, or on this machine", async () => {
    const tenant = await createTenant(latchkey);
    const grant = { client_id: tenant.client.id, audience: "urn:a", scope: [], type: "authorization_code" };
    for (const [authority, status] of [
      ["no address at all", 400],
      ["login.example", 400],
      ["https:login.example", 400],
      [" https://login.example", 400],
      ["http://login.example", 400],
      ["ftp://login.example", 400],
      ["https://", 400],
      ["https://ada@login.example", 400],
      ["https://login.example/a b", 400],
      ["https://login.example?tenant=1", 400],
      ["https://login.example/#", 400],
      ["https://login.example/tenants/1/", 200],
      ["http://localhost:8080", 200],
      ["http://127.0.0.1:1", 200],
    ] as const) {
      const json = { ...grant, oidc: { client_id: "up", client_secret: "x", authority } };
      const made = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
      const path = status === 400 ? "oidc.authority" : undefined;
      expect([made.status, made.body.error?.errors?.[0]?.path], authority).toEqual([status, path]);
    }
  });
});
