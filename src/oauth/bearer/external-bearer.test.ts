import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { test_keys } from "../../../test/support/verification.ts";
import { openRoom, public_url } from "../../../test/support/verification-room.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { createAccount } from "../../directory/accounts/create-account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Directory } from "../../directory/directory.ts";
import { createUser, type NewUser } from "../../directory/users/create-user.ts";
import { type Documents, openDocuments } from "../../egress/documents.ts";
import type { Egress } from "../../egress/egress.ts";
import { openHttp } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import { openLogger } from "../../telemetry/log.ts";
import { issueAccessToken } from "../../tokens/issue.ts";
import { openTokens } from "../../tokens/tokens.ts";
import { requireBearer } from "./bearer.ts";
import { externalBearer } from "./external-bearer.ts";

const actor = { id: "test", context: {} };
const account_id = "T10000001";
const jwks = { name: "Staff", issuer: "https://id.example", uri: "https://id.example/jwks" };

describeOnBothEngines("a bearer whom the account's own provider names", (engine) => {
  let test: TestStorage;
  let directory: Directory;
  let documents: Documents;
  let keys: Awaited<ReturnType<typeof generateKeyPair>>;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    directory = openRoom(test.storage).directory;
    await createAccount(directory, { account_id, name: "Shop", settings: { jwks } }, actor);
    keys = await generateKeyPair("ES256");
    documents = openDocuments({} as Egress);
    const published = { keys: [await exportJWK(keys.publicKey)] };
    await documents.kept.get(jwks.uri, async () => JSON.stringify(published));
  });
  afterAll(() => test.close());

  async function addPerson(fields: Partial<NewUser> = {}) {
    const email = `${randomUUID()}@corp.example`;
    const input: NewUser = { type: "account_user", email, verified: true, ...fields };
    return { ...(await createUser(directory, await findAccount(directory, account_id), input, actor)), email };
  }
  async function idToken(claims: JWTPayload) {
    const iat = Math.floor(test.storage.now() / 1000);
    const all = { iss: jwks.issuer, sub: "p", iat, exp: iat + 60, ...claims };
    return new SignJWT(all).setProtectedHeader({ alg: "ES256" }).sign(keys.privateKey);
  }
  const bearerOf = async (claims: JWTPayload) =>
    externalBearer(directory, documents, await findAccount(directory, account_id), await idToken(claims));

  it("holds what they hold in that account, and what an ID token tells of them", async () => {
    const { id, email } = await addPerson({ authentication_type: "external", scope: ["admin:customers"] });
    for (const aud of [account_id, `http://localhost:8080/v1/accounts/${account_id}`])
      expect(await bearerOf({ email, aud, auth_time: 7 }), aud).toEqual({
        account_id,
        subject_type: "user",
        subject: id,
        client_id: id,
        client_uuid: id,
        scope: ["openid", "profile", "email", "admin:customers"],
        sid: id,
        auth_time: 7,
        amr: [],
        external: true,
      });
    await expect(bearerOf({ email, aud: "T10000002" })).rejects.toMatchObject({ code: "upstream_login_failed" });
  });

  it("is nobody whom the provider does not log in here", async () => {
    const { email } = await addPerson({ scope: ["admin:customers"] });
    expect(await bearerOf({ email, aud: account_id })).toBeUndefined();
    expect(await bearerOf({ email: "nobody@corp.example", aud: account_id })).toBeUndefined();
  });

  it("comes to routes that take such as well as tokens of ours, and to no other", async () => {
    const metrics = { observe() {}, text: async () => "", content_type: "text/plain" };
    const app = openHttp({ logger: openLogger("silent"), trustProxy: false, metrics, secure: false });
    const tokens = openTokens(test.storage, test_keys);
    requireBearer(app, { directory, tokens, documents, nudge() {} });
    const config = { scopes: [], subject_types: ["user"] } as const;
    const schema = { hide: true };
    app.get("/theirs/:oid", { schema, config: { ...config, external: true } }, async ({ bearer }) => bearer);
    app.get("/ours/:oid", { schema, config }, async ({ bearer }) => bearer);
    const { id, email } = await addPerson({ authentication_type: "external", scope: ["admin:customers"] });
    const issuer = issuerOf(public_url, account_id);
    const ours = {
      issuing: { account_id, issuer, access_token_alg: "ES256", access_token_lifetime: 600 },
      subject: { type: "user", id, auth_time: 1, amr: ["otp"], acr: "1fa" },
      ...{ sid: "s", client_id: "shop", client_uuid: "c", audience: issuer, scope: [] },
      id_token_alg: "RS256",
    } as const;
    const { access_token } = await issueAccessToken(tokens, ours, test.storage.now());
    const shown = {
      external: await idToken({ email, aud: account_id }),
      nobody: await idToken({ email: "nobody@corp.example", aud: account_id }),
      own: reveal(access_token),
    };
    const answers: unknown[] = [];
    for (const place of ["theirs", "ours"])
      for (const [name, token] of Object.entries(shown)) {
        const headers = { authorization: `Bearer ${token}` };
        const { statusCode, body } = await app.inject({ url: `/${place}/${account_id}`, headers });
        answers.push([place, name, statusCode, JSON.parse(body).subject]);
      }
    expect(answers).toEqual([
      ["theirs", "external", 200, id],
      ["theirs", "nobody", 401, undefined],
      ["theirs", "own", 200, id],
      ["ours", "external", 401, undefined],
      ["ours", "nobody", 401, undefined],
      ["ours", "own", 200, id],
    ]);
  });
});
