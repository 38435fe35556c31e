import { calculateJwkThumbprint } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { athOf, openKey, type ProofKey } from "../../../test/support/dpop.ts";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { refusalOf } from "../../../test/support/verification-room.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { changeSettings } from "../../directory/accounts/change-settings.ts";
import { createAccount } from "../../directory/accounts/create-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { createClient } from "../../directory/clients/create-client.ts";
import type { ClientSettings } from "../../directory/clients/settings.ts";
import { openDirectory } from "../../directory/directory.ts";
import { changeScope, createGrant, publicGrantAt, removeGrant } from "../../directory/grants/change-grants.ts";
import { holdingOfProvider } from "../../directory/users/account-user.ts";
import { refuse } from "../../errors.ts";
import { openHttp } from "../../http/server.ts";
import { openRevocations, type Revocations } from "../../revocation/revocation.ts";
import { masterKeys } from "../../secrets/master-keys.ts";
import { asymmetric_algs } from "../../secrets/public-key.ts";
import { reveal } from "../../secrets/secret.ts";
import { openLogger } from "../../telemetry/log.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { issueAccessToken } from "../../tokens/issue.ts";
import { openTokens } from "../../tokens/tokens.ts";
import { nonceHeader, type Presented } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { findBearer, requireBearer } from "./bearer.ts";
import { findAlive, lookUpToken } from "./find-alive.ts";
import { findToken } from "./find-token.ts";

const public_url = "http://localhost:8080";
const actor = { id: "test", context: {} };
const account_id = "T10000001";
const [merchant, partner] = ["T10000002", "P10000003"];
const issuer = issuerOf(public_url, account_id);
const api = "https://api.shop.example";
const master_keys = masterKeys([Buffer.alloc(32, 3)]);

describeOnBothEngines("a bearer", (engine) => {
  let test: TestStorage;
  let revocations: Revocations;
  let deps: Oauth;
  let client: Client;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    revocations = await openRevocations(test.storage);
    deps = open();
    for (const id of [account_id, merchant, partner])
      await createAccount(deps.directory, { account_id: id, name: "Shop", settings: {} }, actor);
    client = await addClient();
  });
  afterAll(async () => {
    await revocations.stop();
    await test.close();
  });

  /** As another process would, which has read nothing yet. */
  function open(): Oauth {
    const { storage } = test;
    const directory = openDirectory({ storage, master_keys, revocations, public_url });
    return { directory, tokens: openTokens(storage, master_keys), documents: {} as Oauth["documents"], nudge() {} };
  }
  /** The same, whose database answers no more: what it says, it knows. */
  function cutOff(own: Oauth): Oauth {
    const storage = {
      ...own.directory.storage,
      get read(): never {
        throw new Error("the database was asked");
      },
    };
    return { ...own, directory: { ...own.directory, storage } };
  }
  const addClient = async (settings: Partial<ClientSettings> = {}, account = account_id) =>
    (await createClient(deps.directory, account, { name: "The Shop", settings }, actor)).client;
  const addGrant = (scope: readonly string[], audience = api, of = client) =>
    createGrant(deps.directory, { client: of, audience, scope, type: "any" }, actor);

  async function issue(fields: Partial<Authorization> = {}, account = account_id): Promise<string> {
    const at = { account_id: account, issuer: issuerOf(public_url, account) };
    const authorization: Authorization = {
      issuing: { ...at, access_token_alg: "ES256", access_token_lifetime: 600 },
      sid: "sid-1",
      subject: { type: "client", id: client.id },
      client_id: client.client_id,
      client_uuid: client.id,
      audience: at.issuer,
      scope: ["a:b"],
      id_token_alg: "RS256",
      ...fields,
    };
    const { access_token } = await issueAccessToken(deps.tokens, authorization, test.storage.now());
    return reveal(access_token);
  }
  const show = (token: string, fields: Partial<Presented> = {}): Presented => ({
    ...{ authorization: `Bearer ${token}`, method: "GET", path: "/" },
    ...fields,
  });
  const alive = (token: string, own = deps, account = account_id) => findAlive(own, account, token);
  const dead = (detail: RegExp) => ({
    code: "invalid_token",
    options: expect.objectContaining({ detail: expect.stringMatching(detail) }),
  });

  it("is who its token says, at the account API and in its account alone", async () => {
    const person = { type: "user", id: "9c1f", auth_time: 1, amr: ["otp"], acr: "1fa" } as const;
    const token = await issue({ subject: person, grant_id: "g", holds: ["held:9c1f@1"] });
    const { began_at, ...bearer } = await findBearer(deps, account_id, show(token));
    const { id: client_uuid, client_id } = client;
    const hangs_on = ["sid:sid-1", "user:9c1f", `client:${client_uuid}`, "grant:g", "held:9c1f@1"];
    const login = { sid: "sid-1", hangs_on, grant_id: "g", auth_time: 1, amr: ["otp"] };
    const who = { account_id, subject_type: "user", subject: "9c1f", client_id, client_uuid, scope: ["a:b"] };
    expect(bearer).toEqual({ ...who, ...login, audience: issuer });
    expect(began_at).toBeGreaterThan(test.storage.now() - 60_000);
    const given_elsewhere = await issue({ subject: person, scope: ["a:b", "user:b", "email", "address"] });
    expect((await findBearer(deps, account_id, show(given_elsewhere))).scope).toEqual(["user:b", "email", "address"]);
    const elsewhere = show(await issue({ audience: api, subject: person }));
    await expect(findBearer(deps, account_id, elsewhere)).rejects.toMatchObject(dead(/audience/));
    expect(await findToken(deps, account_id, elsewhere)).toMatchObject({ audience: api, scope: ["a:b"] });
    await expect(findBearer(deps, merchant, show(token))).rejects.toMatchObject(dead(/unknown key/));
    await expect(findToken(deps, merchant, show(token))).rejects.toMatchObject(dead(/unknown key/));
    await expect(findBearer(deps, "T19999999", show(token))).rejects.toMatchObject(dead(/no such account/));
  });

  it("calls from a page that its client lists, where a page calls", async () => {
    const listing = await addClient({ allowed_origins: ["https://shop.example"] });
    const token = await issue({ client_uuid: listing.id, subject: { type: "client", id: listing.id } });
    const gone = await issue({ client_uuid: "nobody" });
    for (const find of [findBearer, findToken]) {
      for (const origin of [undefined, "https://shop.example", public_url])
        expect(await find(deps, account_id, show(token, { origin })), origin).toBeDefined();
      const other = { origin: "https://other.example" };
      await expect(find(deps, account_id, show(token, other))).rejects.toMatchObject({ code: "unauthorized_client" });
      expect(await find(deps, account_id, show(gone, other))).toBeDefined();
    }
  });

  it("shows a token that is bound to a key with a proof, and no other with one", async () => {
    const bound = await issue({ dpop_jkt: "thumb" });
    const free = await issue();
    for (const find of [findBearer, findToken]) {
      await expect(find(deps, account_id, show(bound))).rejects.toMatchObject(dead(/bound to a key/));
      const proved = (token: string) => show(token, { authorization: `DPoP ${token}` });
      await expect(find(deps, account_id, proved(free))).rejects.toMatchObject(dead(/bound to a key/));
      const { code, options } = await refusalOf(find(deps, account_id, proved(bound)));
      expect([code, options?.headers?.["www-authenticate"]]).toEqual([
        "invalid_token",
        'DPoP realm="latchkey", error="invalid_dpop_proof"',
      ]);
    }
  });

  it("shows a proof once, and of the key that the token is bound to", async () => {
    const [key, another] = [await openKey(public_url), await openKey(public_url)];
    const jkt = await calculateJwkThumbprint(key.jwk);
    const token = await issue({ dpop_jkt: jkt });
    const nonce = nonceHeader(master_keys, account_id, test.storage.now())["dpop-nonce"];
    const proofBy = (by: ProofKey) => by.proof({ htm: "GET", ath: athOf(token), nonce }, {}, "/");
    const showWith = (proof: string) => show(token, { authorization: `DPoP ${token}`, proof });
    for (const find of [findBearer, findToken]) {
      const proof = await proofBy(key);
      expect(await find(deps, account_id, showWith(proof))).toMatchObject({ jkt });
      await expect(find(deps, account_id, showWith(proof))).rejects.toThrow(/used before/);
      const stolen = find(deps, account_id, showWith(await proofBy(another)));
      await expect(stolen).rejects.toMatchObject(dead(/another key/));
    }
  });

  it("is nobody with a token that is none, and unknown while nobody can tell", async () => {
    expect(await lookUpToken(deps, account_id, await issue())).toMatchObject({ sid: "sid-1" });
    expect(await lookUpToken(deps, account_id, "x.y.z")).toBeUndefined();
    const blind = { ...deps, directory: { ...deps.directory, revocations: { ...revocations, checkAlive: blindly } } };
    function blindly() {
      throw refuse("temporarily_unavailable");
    }
    await expect(lookUpToken(blind, account_id, await issue())).rejects.toMatchObject({
      code: "temporarily_unavailable",
    });
  });

  /** Routes behind the hook: of an account, of whoever calls, and open to everybody. */
  function openRoutes() {
    const app = openHttp({
      logger: openLogger("silent"),
      trustProxy: false,
      metrics: { observe() {}, text: async () => "", content_type: "text/plain" },
      secure: false,
    });
    requireBearer(app, deps);
    const schema = { hide: true };
    app.get("/accounts/:oid/things", { schema, config: { scopes: ["a:b"] } }, async ({ account_id, bearer }) => ({
      account_id,
      subject: bearer.subject,
    }));
    app.options("/accounts/:oid/things", { schema, config: { public: true } }, async () => ({}));
    app.get("/me", { schema, config: { scopes: [] } }, async ({ bearer }) => ({ account_id: bearer.account_id }));
    app.get("/open/:oid", { schema, config: { public: true, scopes: ["a:b"] } }, async ({ account_id }) => ({
      account_id,
    }));
    app.get("/undeclared", { schema }, async () => ({}));
    app.get("/careless", { schema, config: { public: true } }, async ({ bearer }) => bearer);
    app.get("/v1/accounts/:oid/oauth/userinfo", { schema, config: { scopes: ["a:b"] } }, async () => ({}));
    let asked = "";
    app.addHook("onResponse", async ({ account_id }) => {
      asked = account_id;
    });
    return async (url: string, authorization?: string, method: "GET" | "OPTIONS" = "GET") => {
      const sent = authorization ? { authorization } : {};
      const { statusCode, headers, body } = await app.inject({ method, url, headers: sent });
      return { status: statusCode, said: headers["www-authenticate"], body: JSON.parse(body), asked };
    };
  }

  it("is asked for by every route that is not open to everybody", async () => {
    const get = openRoutes();
    const good = `Bearer ${await issue()}`;
    const things = `/accounts/${account_id}/things`;
    expect(await get(things, good)).toMatchObject({ status: 200, body: { account_id, subject: client.id } });
    expect(await get("/me", good)).toMatchObject({ status: 200, body: { account_id } });
    expect(await get(`/open/${account_id}`)).toMatchObject({ status: 200, body: { account_id } });
    expect((await get("/undeclared")).status).toBe(200);
    expect((await get("/careless", good)).status).toBe(500);
    for (const url of ["/accounts/x/things", "/open/x"]) expect((await get(url, good)).status, url).toBe(400);
    expect((await get(things, `Bearer ${await issue({}, merchant)}`)).status, "of another account").toBe(401);
    expect((await get("/accounts/x/things", undefined, "OPTIONS")).status, "a page's preflight").toBe(200);
    const weak = await get(things, `Bearer ${await issue({ scope: ["c:d"] })}`);
    expect(weak.status).toBe(403);
    expect(weak.said).toMatch(/^Bearer realm="latchkey", error="insufficient_scope", .* scope="a:b"$/);
  });

  it("is told what is missing in the scheme in which the last token came, and at userinfo where to get one", async () => {
    const get = openRoutes();
    const things = `/accounts/${account_id}/things`;
    const [bare, wrong, proved] = [await get(things), await get(things, "Bearer x"), await get(things, "dpop x")];
    expect([bare.status, bare.said]).toEqual([401, 'Bearer realm="latchkey"']);
    for (const { said } of [wrong, await get(things, "Bearer DPoP x")])
      expect(said).toMatch(/^Bearer realm="latchkey", error="invalid_token", error_description="[^"]+"$/);
    expect(proved.said).toMatch(/^DPoP realm="latchkey", error="invalid_token"/);
    expect(proved.said).toMatch(new RegExp(` algs="${asymmetric_algs.join(" ")}"$`));
    expect((await get("/me")).said).toBe('Bearer realm="latchkey"');
    const userinfo = `/v1/accounts/${account_id}/oauth/userinfo`;
    const place = `${public_url}/.well-known/oauth-protected-resource${userinfo}`;
    expect((await get(userinfo)).said).toBe(`Bearer realm="latchkey", resource_metadata="${place}"`);
    expect((await get(`${userinfo}?x=1`)).said).toBe('Bearer realm="latchkey"');
  });

  it("is taken for one of the account that its token names, until that is read in full", async () => {
    const get = openRoutes();
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const asked = async (claims: unknown) => {
      const answer = await get("/me", `Bearer ${part({})}.${part(claims)}.AAAA`);
      expect(answer.status, JSON.stringify(claims)).toBe(401);
      return answer.asked;
    };
    const named = [
      [account_id, { oid: account_id, iss: issuer }],
      [merchant, { oid: account_id, iss: issuerOf(public_url, merchant), aud: issuerOf(public_url, merchant) }],
      [merchant, { oid: account_id, aud: ["https://api.example", `x/accounts/${merchant}`, `/accounts/${partner}`] }],
      [partner, { aud: partner }],
    ] as const;
    for (const [id, claims] of named) expect(await asked(claims), JSON.stringify(claims)).toBe(id);
    const nobody = [
      {},
      null,
      account_id,
      { oid: account_id },
      { oid: 1, iss: issuerOf(public_url, "1") },
      { aud: 1 },
      { aud: ["x", null] },
    ];
    for (const claims of nobody) expect(await asked(claims), JSON.stringify(claims)).toBe("");
    for (const token of ["x", "a.b.c"])
      expect(await get("/me", `Bearer ${token}`)).toMatchObject({ status: 401, asked: "" });
  });

  it("keeps what its grant still gives, and loses its token with a scope that is taken", async () => {
    const other = await addGrant(["a:b", "c:d"], "https://other.example");
    const grant = await addGrant(["a:b", "c:d", "openid"]);
    const of = (scope: readonly string[], fields: Partial<Authorization> = {}) =>
      issue({ audience: api, scope, grant_id: grant.id, ...fields });
    const [both, kept, personal] = [await of(["a:b", "c:d"]), await of(["a:b"]), await of(["a:b", "profile"])];
    const exchanged = await of(["c:d"], { grant_id: other.id, holds: [`grant:${grant.id}`] });
    const beside = await of(["c:d"], { grant_id: other.id, holds: ["role:1"] });
    await changeScope(deps.directory, grant, ["a:b"], actor);
    for (const own of [deps, open()]) {
      await expect(alive(both, own)).rejects.toMatchObject(dead(/^taken from grant:.*: c:d$/));
      await expect(alive(exchanged, own), "what it was exchanged for").rejects.toMatchObject(
        dead(/^taken from grant:/),
      );
      for (const token of [kept, personal, beside]) expect(await alive(token, own)).toBeDefined();
      expect(await alive(kept, cutOff(own)), "asks nobody what is known").toBeDefined();
    }
    await removeGrant(deps.directory, grant, actor);
    await expect(alive(kept)).rejects.toMatchObject({ code: "invalid_token" });
  });

  it("is not refused for what another process gave a moment ago", async () => {
    const grant = await addGrant(["a:b"], "https://given.example");
    const own = open();
    const token = await issue({ audience: "https://given.example", scope: ["c:d"], grant_id: grant.id });
    await changeScope(deps.directory, grant, ["x:y"], actor);
    await expect(alive(token, own)).rejects.toMatchObject(dead(/^taken/));
    await changeScope(deps.directory, grant, ["c:d"], actor);
    expect(await alive(token, own)).toBeDefined();
    await changeScope(deps.directory, grant, ["x:y"], actor);
    await removeGrant(deps.directory, grant, actor);
    const { checkStillGiven } = await import("./still-given.ts");
    const named = await alive(await issue({ holds: ["role:1"] }));
    const of = { ...named, grant_id: grant.id };
    await expect(checkStillGiven(open().directory, account_id, of)).rejects.toMatchObject(dead(/is gone$/));
  });

  it("keeps at an account API what a scope of its grant covers", async () => {
    const grant = await addGrant(["admin:accounts", "x:y"], issuer);
    const token = await issue({ scope: ["write:accounts"], grant_id: grant.id });
    const elsewhere = await addGrant(["admin:accounts"], "https://covered.example");
    const there = await issue({ scope: ["write:accounts"], grant_id: elsewhere.id, audience: elsewhere.audience });
    for (const one of [grant, elsewhere]) await changeScope(deps.directory, one, ["admin:accounts"], actor);
    expect(await alive(token)).toMatchObject({ scope: ["write:accounts"] });
    await expect(alive(there)).rejects.toMatchObject(dead(/write:accounts$/));
  });

  it("keeps what the account gives all that registered themselves, as long as it does", async () => {
    const give = (public_client_grants: Record<string, string[]>) =>
      changeSettings(deps.directory, account_id, { public_client_grants }, actor);
    const token = await issue({ scope: ["a:b"], audience: api, holds: [publicGrantAt(api)] });
    await give({ [api]: ["a:b"], "https://other.example": ["c:d"] });
    expect(await alive(token)).toBeDefined();
    const own = open();
    expect(await alive(token, own)).toBeDefined();
    expect(await alive(token, cutOff(own)), "asks nobody what is known").toBeDefined();
    await give({ [api]: ["c:d"] });
    await expect(alive(token)).rejects.toMatchObject(dead(/^taken from public_grant:.*: a:b$/));
    const late = open();
    await expect(alive(token, late)).rejects.toMatchObject(dead(/^taken/));
    await give({ [api]: ["a:b"] });
    expect(await alive(token, late), "given again elsewhere").toBeDefined();
    await give({});
    await expect(alive(token)).rejects.toMatchObject(dead(/^public_grant:.* is gone$/));
  });

  it("loses the account API with the name by which its grant gave it, and nothing else", async () => {
    const [shop, name] = ["T10000004", "https://api.custom.example"];
    const at_shop = issuerOf(public_url, shop);
    const settings = { partner_access: true, public_client_grants: { [name]: ["a:b"] } };
    await createAccount(deps.directory, { account_id: shop, name: "Shop", settings }, actor);
    const [own, theirs] = [await addClient({}, shop), await addClient({}, partner)];
    const grants = [await addGrant(["a:b"], name, own), await addGrant(["a:b"], at_shop, own)];
    const at_home = await addGrant(["a:b"], at_shop, theirs);
    await changeSettings(deps.directory, shop, { api_audiences: [name] }, actor);
    const of = ({ id, client_id }: Client, fields: Partial<Authorization>) =>
      issue({ subject: { type: "client", id }, client_id, client_uuid: id, ...fields }, shop);
    const act = { iss: issuerOf(public_url, partner), sub: theirs.id, account_id: partner };
    const [by_name, by_issuer] = grants.map(({ id }) => id);
    const lost = [await of(own, { grant_id: by_name ?? "" }), await of(own, { holds: [publicGrantAt(name)] })];
    const kept = [
      await of(own, { grant_id: by_issuer ?? "" }),
      await of(own, { grant_id: by_name ?? "", audience: name }),
      await of(theirs, { grant_id: at_home.id, act }),
    ];
    for (const token of [...lost, ...kept]) expect(await alive(token, deps, shop)).toBeDefined();
    await changeSettings(deps.directory, shop, { api_audiences: [] }, actor);
    for (const own of [deps, open()]) {
      for (const token of lost) await expect(alive(token, own, shop)).rejects.toMatchObject(dead(/^taken from/));
      for (const [n, token] of kept.entries()) expect(await alive(token, own, shop), `${n}`).toBeDefined();
    }
  });

  it("of the account's own provider lives while that is the provider", async () => {
    const jwks = { name: "Staff", issuer: "https://id.example", uri: "https://id.example/jwks" };
    const token = await issue({ holds: ["held:x", holdingOfProvider(jwks)] });
    const plain = await issue({ holds: ["held:x"] });
    await expect(alive(token)).rejects.toMatchObject(dead(/provider/));
    await changeSettings(deps.directory, account_id, { jwks }, actor);
    expect(await alive(token)).toBeDefined();
    await changeSettings(deps.directory, account_id, { jwks: { ...jwks, issuer: "https://other.example" } }, actor);
    await expect(alive(token)).rejects.toMatchObject(dead(/provider/));
    expect(await alive(plain)).toBeDefined();
  });

  it("of a partner lives with its client and grant at home, and while the merchant lets partners in", async () => {
    const theirs = await addClient({}, partner);
    const there = issuerOf(public_url, merchant);
    const grant = await addGrant(["a:b"], there, theirs);
    const act = { iss: issuerOf(public_url, partner), sub: theirs.id, account_id: partner };
    const fields = { client_id: theirs.client_id, client_uuid: theirs.id, grant_id: grant.id, act };
    const token = await issue({ ...fields, subject: { type: "client", id: theirs.id } }, merchant);
    const let_in = (partner_access: boolean) => changeSettings(deps.directory, merchant, { partner_access }, actor);
    await let_in(false);
    await expect(alive(token, deps, merchant)).rejects.toMatchObject(dead(/not let in/));
    expect(await alive(await issue({}, merchant), deps, merchant), "the merchant's own").toBeDefined();
    await let_in(true);
    expect(await alive(token, deps, merchant)).toMatchObject({ partner_account: partner });
    await changeScope(deps.directory, grant, ["x:y"], actor);
    await expect(alive(token, deps, merchant)).rejects.toMatchObject(dead(/^taken from grant:/));
    await changeScope(deps.directory, grant, ["a:b"], actor);
    expect(await alive(token, deps, merchant)).toBeDefined();
    await removeGrant(deps.directory, grant, actor);
    await expect(alive(token, deps, merchant)).rejects.toMatchObject({ code: "invalid_token" });
  });
});
