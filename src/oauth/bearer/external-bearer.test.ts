import { randomUUID } from "node:crypto";
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { openRoom } from "../../../test/support/verification-room.ts";
import { createAccount } from "../../directory/accounts/create-account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Directory } from "../../directory/directory.ts";
import { createUser, type NewUser } from "../../directory/users/create-user.ts";
import { type Documents, openDocuments } from "../../egress/documents.ts";
import type { Egress } from "../../egress/egress.ts";
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
  async function bearerOf(claims: JWTPayload) {
    const iat = Math.floor(test.storage.now() / 1000);
    const all = { iss: jwks.issuer, sub: "p", iat, exp: iat + 60, ...claims };
    const id_token = await new SignJWT(all).setProtectedHeader({ alg: "ES256" }).sign(keys.privateKey);
    return externalBearer(directory, documents, await findAccount(directory, account_id), id_token);
  }

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
});
