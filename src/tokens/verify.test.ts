import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { masterKeys } from "../secrets/master-keys.ts";
import { reveal } from "../secrets/secret.ts";
import type { Authorization } from "./authorization.ts";
import { EXCHANGE_LIFETIME, readExchangeToken, signExchangeToken } from "./exchange-token.ts";
import { issueAccessToken, issueIdToken } from "./issue.ts";
import { signJws } from "./jws.ts";
import { signingKey } from "./keys/find-key.ts";
import { rotateKey } from "./keys/rotate-key.ts";
import { readIdToken } from "./read-id-token.ts";
import { openTokens, type Tokens } from "./tokens.ts";
import { issuedWith, subjectsOf, verifyAccessToken } from "./verify.ts";

const issuer = "https://login.example/v1/accounts/T00000001";
const account_id = "T00000001";
const LIFETIME = 600;

describeOnBothEngines("an access token", (engine) => {
  let test: TestStorage;
  let tokens: Tokens;
  let now: number;
  /** Another process, which remembers no token. */
  const fresh = () => openTokens(test.storage, masterKeys([Buffer.alloc(32, 3)]));
  beforeAll(async () => {
    test = await openTestStorage(engine);
    for (const id of [account_id, "T00000002", "T00000003", "T00000004", "T00000005"])
      await test.storage.write((tx) =>
        tx.db
          .insertInto("accounts")
          .values({ account_id: id, name: "x", settings: "{}", created_at: "", updated_at: "" })
          .execute(),
      );
    tokens = fresh();
    now = test.storage.now();
  });
  afterAll(() => test.close());

  const client = { type: "client", id: "7d3a" } as const;
  const person = { type: "user", id: "9c1f", auth_time: 1, amr: ["otp"], acr: "1fa", email: "a@example.com" } as const;
  const authorization = (fields: Partial<Authorization> = {}): Authorization => ({
    issuing: { account_id, issuer, access_token_alg: "ES256", access_token_lifetime: LIFETIME },
    sid: "sid-1",
    subject: client,
    client_id: "shop",
    client_uuid: "7d3a",
    audience: "https://api.example",
    scope: ["a", "b"],
    id_token_alg: "RS256",
    ...fields,
  });
  const issue = async (fields: Partial<Authorization> = {}) =>
    reveal((await issueAccessToken(tokens, authorization(fields), now)).access_token);
  const verify = (token: string, at = now, own = fresh(), account = account_id, by = issuer) =>
    verifyAccessToken(own, account, by, token, at);
  const refused = (verified: Promise<unknown>, detail: RegExp) =>
    expect(verified).rejects.toMatchObject({
      code: "invalid_token",
      options: { detail: expect.stringMatching(detail) },
    });
  /** Signed by the account's own key, with these claims instead of the right ones. */
  async function signed(claims: object, typ = "at+jwt"): Promise<string> {
    const right = JSON.parse(Buffer.from((await issue()).split(".")[1] ?? "", "base64url").toString());
    return reveal(await signJws(await signingKey(tokens, account_id, "ES256", now), typ, { ...right, ...claims }));
  }

  it("says again what it was issued with", async () => {
    const act = { iss: issuer, sub: "p", account_id: "P11200000" };
    const fields = { grant_id: "g", dpop_jkt: "thumb", userinfo_claims: ["name"], act, by_device: true } as const;
    const token = await issue({ ...fields, holds: ["role:1"], subject: person });
    expect(await verify(token)).toMatchObject({
      account_id,
      issuer,
      audience: "https://api.example",
      subject_type: "user",
      subject: "9c1f",
      client_id: "shop",
      client_uuid: "7d3a",
      scope: ["a", "b"],
      sid: "sid-1",
      grant_id: "g",
      auth_time: 1,
      amr: ["otp"],
      acr: "1fa",
      by_device: true,
      jti: expect.stringMatching(/^[\da-f-]{36}$/),
      began_at: now,
      holds: ["role:1"],
      jkt: "thumb",
      userinfo_claims: ["name"],
      partner_account: "P11200000",
      act,
      expires_at: Math.floor(now / 1000) + LIFETIME,
    });
    const plain = await verify(await issue());
    expect(plain).toMatchObject({ subject_type: "client", subject: "7d3a" });
    const optional = [
      "grant_id",
      "auth_time",
      "amr",
      "acr",
      "by_device",
      "holds",
      "jkt",
      "userinfo_claims",
      "partner_account",
      "act",
      "sector",
    ];
    for (const name of optional) expect(plain, name).not.toHaveProperty(name);
    expect((await verify(await issue({ scope: [] }))).scope).toEqual([]);
    const anonymous = await verify(await issue({ act: { iss: issuer, sub: "p" } }));
    expect(anonymous.act).toEqual({ iss: issuer, sub: "p" });
    expect(anonymous).not.toHaveProperty("partner_account");
    const partner = { iss: issuer, sub: "p", account_id: "P11200000" };
    const behind = await verify(await issue({ act: { iss: issuer, sub: "x", act: partner } }));
    expect(behind).toMatchObject({ partner_account: "P11200000", act: { sub: "x", act: { sub: "p" } } });
    const nobody = await verify(await issue({ act: { iss: issuer, sub: "x", act: null } }));
    expect(nobody).not.toHaveProperty("partner_account");
    expect(subjectsOf(plain)).toEqual(["sid:sid-1", "client:7d3a"]);
    expect(subjectsOf(await verify(token))).toEqual(["sid:sid-1", "user:9c1f", "client:7d3a", "grant:g", "role:1"]);
  });

  it("is good in its time alone", async () => {
    // A while after its key was made.
    const issued = Math.floor(now / 1000) * 1000 + 60_000;
    const token = reveal((await issueAccessToken(tokens, authorization(), issued)).access_token);
    const until = issued + LIFETIME * 1000;
    await verify(token, until - 1);
    await refused(verify(token, until), /expired/);
    const remembering = fresh();
    await verify(token, until - 1, remembering);
    await refused(verify(token, until, remembering), /expired/);
    expect(remembering.verified.size).toBe(0);
    await refused(verify(await issue(), now - 60_000), /future/);
    await verify(token, issued - 30_000);
    await refused(verify(token, issued - 30_001), /future/);
    expect((await issueAccessToken(tokens, authorization({ lifetime: 60 }), now)).expires_in).toBe(60);
    expect((await issueAccessToken(tokens, authorization({ lifetime: 6_000 }), now)).expires_in).toBe(LIFETIME);
  });

  it("is of this account, this issuer and this kind, or refused", async () => {
    const token = await issue();
    await refused(verify(token, now, fresh(), "T00000002"), /unknown key/);
    await refused(verify(token, now, fresh(), account_id, `${issuer}/`), /another issuer/);
    await refused(verify(await signed({ oid: "T00000002" })), /another issuer/);
    await refused(verify(await signed({ iss: "https://evil.example" })), /another issuer/);
    await refused(verify(await signed({}, "JWT")), /not an access token/);
    await refused(verify(await signed({}, "xat+jwt")), /not an access token/);
    await refused(verify(await signed({}, "at+jwt+x")), /not an access token/);
    await verify(await signed({}, "application/at+jwt"));
    await verify(await signed({}, "AT+JWT"));
    await refused(verify(await signed({ subject_type: "robot" })), /subject_type/);
    for (const name of ["aud", "sub", "client_id", "client_uuid", "scope", "sid", "exp", "iat"])
      for (const value of [undefined, ["x"]])
        await refused(verify(await signed({ [name]: value })), /a claim is missing/);
    await refused(verify("x.y.z"), /compact JWS/);
    const [header, payload] = token.split(".");
    await refused(verify(`${header}.${payload}.${"A".repeat(86)}`), /signature/);
    const jti = ["01a2145e-b02f-7ef9-ac93-1d4fd7179c55"];
    const odd = {
      act: "x",
      cnf: "x",
      amr: "x",
      holds: "x",
      grant_id: 1,
      auth_time: "x",
      sector: 1,
      acr: 1,
      by_device: 1,
      jti,
    };
    for (const claims of [odd, { ...odd, act: null, cnf: null, userinfo_claims: "x" }, { ...odd, cnf: { jkt: 1 } }]) {
      const read = await verify(await signed(claims));
      for (const name of [...Object.keys(odd), "jkt", "partner_account", "userinfo_claims"])
        expect(read, name).not.toHaveProperty(name);
      expect(read.began_at, "as exactly as iat says it").toBe(read.issued_at * 1000);
    }
    expect((await verify(await signed({ jti: "x" }))).began_at % 1000).toBe(0);
  });

  it("has a sub of its own in each sector, which leads back to the person", async () => {
    const token = await issue({
      subject: { ...person, id: "01a2145e-b02f-7ef9-ac93-1d4fd7179c55" },
      sector: "a.example",
    });
    const verified = await verify(token);
    expect(verified.subject).toBe("01a2145e-b02f-7ef9-ac93-1d4fd7179c55");
    expect(verified.pairwise_subject).toMatch(/^[\w-]{22}$/);
    await refused(verify(await signed({ sector: "a.example", sub: "AAAA", subject_type: "user" })), /not ours/);
  });

  it("was issued with the exchange that it came from, or else with the login", async () => {
    const issuedFor = async (fields: Partial<Authorization>) => issuedWith(await verify(await issue(fields)));
    expect(await issuedFor({ holds: ["role:1", "exchange:e", "grant:g"] })).toBe("exchange:e");
    expect(await issuedFor({ holds: ["role:1", "my-exchange:e"] })).toBe("sid:sid-1");
    expect(await issuedFor({})).toBe("sid:sid-1");
  });

  it("is known again only while its key is trusted", async () => {
    const own = fresh();
    const token = reveal((await issueAccessToken(own, authorization(), now)).access_token);
    await verify(token, now, own);
    expect(own.verified.size).toBe(1);
    await verify(token, now, own);
    expect(own.verified.size).toBe(1);
    const at = test.storage.now();
    const rotation = { publication_lead: 0, longest_lifetime: 60, immediately: true };
    await rotateKey(own, account_id, "ES256", rotation, at);
    await expect.poll(() => test.storage.now()).toBeGreaterThan(at);
    await expect(verify(token, test.storage.now(), own)).rejects.toMatchObject({ code: "invalid_token" });
    now = test.storage.now();
    tokens = fresh();
  });

  it("is checked by the key that signed it, of all that its account has", async () => {
    const own = fresh();
    const audience = "https://partner.example";
    const algs = ["EdDSA", "ES256", "RS256"] as const;
    const made = algs.map(async (alg) => {
      const issuing = { ...authorization().issuing, account_id: "T00000003", access_token_alg: alg };
      const about = authorization({ issuing, subject: person, id_token_alg: alg });
      return {
        access: reveal((await issueAccessToken(own, about, now)).access_token),
        id: reveal(await issueIdToken(own, about, { audience: "shop", lifetime: 60 }, now)),
        exchange: reveal(await signExchangeToken(own, issuing, { client_uuid: "7d3a" }, audience, now)),
      };
    });
    for (const { access, id, exchange } of await Promise.all(made)) {
      expect(await verify(access, now, fresh(), "T00000003")).toMatchObject({ subject: "9c1f" });
      expect(await readIdToken(fresh(), issuer, "T00000003", id)).toMatchObject({ sub: "9c1f" });
      const by = { account_id: "T00000003", issuer };
      expect(await readExchangeToken(fresh(), by, audience, exchange, now)).toMatchObject({ client_uuid: "7d3a" });
    }
  });

  it("is signed by a key that another process has just made, or by one that is known", async () => {
    const by = async (alg: "ES256" | "EdDSA") => {
      const issuing = { ...authorization().issuing, account_id: "T00000005", access_token_alg: alg };
      return reveal((await issueAccessToken(fresh(), authorization({ issuing }), now)).access_token);
    };
    const own = fresh();
    let reloaded = 0;
    const reload: Tokens["keys"]["reload"] = (...asked) => {
      reloaded += 1;
      return own.keys.reload(...asked);
    };
    const counting = { ...own, keys: { ...own.keys, reload } };
    await by("ES256");
    await verify(await by("ES256"), now, counting, "T00000005");
    expect(reloaded, "known").toBe(0);
    await verify(await by("EdDSA"), now, counting, "T00000005");
    expect(reloaded, "new").toBe(1);
    for (const alg of ["ES256", "EdDSA"] as const) await verify(await by(alg), now, counting, "T00000005");
    expect(reloaded, "both known").toBe(1);
  });

  it("lasts no longer than its key, which may be half a minute ahead of whoever checks", async () => {
    const own = fresh();
    const issuing = { ...authorization().issuing, account_id: "T00000004", access_token_lifetime: 3_600 };
    const by = async (at: number) => reveal((await issueAccessToken(own, authorization({ issuing }), at)).access_token);
    const from = test.storage.now();
    const [ahead, end] = [from + 30_000, from + 630_000];
    const old = await by(from);
    await rotateKey(own, "T00000004", "ES256", { publication_lead: 30, longest_lifetime: 600 }, from);
    const young = await by(ahead);
    for (const known of [own, fresh()]) {
      await verify(old, end - 1, known, "T00000004");
      await refused(verify(old, end, known, "T00000004"), /key is not trusted/);
      await verify(young, end, known, "T00000004");
      await verify(young, from, known, "T00000004");
      await refused(verify(young, from - 1, known, "T00000004"), /key is not trusted/);
    }
  });

  it("is remembered among ten thousand, of which the oldest makes room", async () => {
    const own = fresh();
    const [first, second, third] = [await issue(), await issue(), await issue()];
    const known = await verify(first, now, own);
    const other = await verify(second, now, own);
    for (let n = 3; n <= 10_000; n++) own.verified.set(`another ${n}`, known, 0);
    expect(await verify(first, now, own), "still known").toBe(known);
    await verify(third, now, own);
    expect(own.verified.size).toBe(10_000);
    expect(await verify(second, now, own), "still known").toBe(other);
    expect(await verify(first, now, own), "read anew").not.toBe(known);
    expect(own.verified.has("another 3")).toBe(true);
    expect(await verify(second, now, own), "read anew").not.toBe(other);
  });

  it("is remembered with so many as hold sixteen mebi of characters, of which the oldest makes room", async () => {
    const own = fresh();
    const scope = Array.from({ length: 230 }, (_, n) => `${n}`.padStart(200, "s"));
    const issued: string[] = [];
    for (let n = 0; n < 300; n++) issued.push(await issue({ scope }));
    const known: unknown[] = [];
    for (const token of issued) known.push(await verify(token, now, own));
    const room = Math.floor((16 * 1_024 * 1_024) / (issued[0]?.length ?? 1));
    expect(own.verified.size).toBe(room);
    expect(await verify(issued.at(-1) ?? "", now, own), "still known").toBe(known.at(-1));
    expect(await verify(issued[0] ?? "", now, own), "read anew").not.toBe(known[0]);
    expect(own.verified.size).toBe(room);
  });

  it("is no ID token, which hints at somebody and lets nobody in", async () => {
    const about = authorization({ subject: person });
    const fields = { audience: "shop", lifetime: 60, nonce: "n", claims: { iss: "https://evil.example", ext_a: "b" } };
    const id_token = reveal(await issueIdToken(tokens, about, fields, now));
    await refused(verify(id_token), /not an access token/);
    expect(await readIdToken(fresh(), issuer, account_id, id_token)).toEqual({
      sub: "9c1f",
      sid: "sid-1",
      azp: "shop",
    });
    const claims = JSON.parse(Buffer.from(id_token.split(".")[1] ?? "", "base64url").toString());
    expect(claims).toMatchObject({
      iss: issuer,
      aud: "shop",
      azp: "shop",
      nonce: "n",
      ext_a: "b",
      email_verified: false,
    });
    expect(claims.exp - claims.iat).toBe(60);
    expect(await readIdToken(fresh(), issuer, account_id, await issue())).toBeUndefined();
    expect(await readIdToken(fresh(), issuer, account_id, "x.y.z")).toBeUndefined();
    expect(await readIdToken(fresh(), issuer, account_id, await signed({ sub: 1 }, "JWT"))).toBeUndefined();
    const odd = await signed({ sub: "9c1f", sid: 1, azp: 1 }, "JWT");
    expect(await readIdToken(fresh(), issuer, account_id, odd)).toEqual({ sub: "9c1f" });
    expect(await readIdToken(fresh(), `${issuer}/`, account_id, id_token)).toBeUndefined();
    expect(await readIdToken(fresh(), issuer, account_id, `${id_token.slice(0, -8)}AAAAAAAA`)).toBeUndefined();
    expect(await readIdToken(fresh(), `${issuer}/`, "T00000002", id_token)).toBeUndefined();
    expect(await readIdToken(fresh(), issuer, "T00000002", id_token)).toBe("key_gone");
    await expect(issueIdToken(tokens, authorization(), fields, now)).rejects.toThrow("speaks about a person");
  });

  it("says what is so, and nothing of what is not", async () => {
    const read = (token: string) => JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    const iat = Math.floor(now / 1000);
    const jti = expect.stringMatching(/^[\da-f-]{36}$/);
    const always = { iss: issuer, iat, jti, sid: "sid-1" };
    const access = { ...always, aud: "https://api.example", exp: iat + LIFETIME, scope: "a b", oid: account_id };
    const shop = { client_id: "shop", client_uuid: "7d3a" };
    const plain = await issueAccessToken(tokens, authorization({ userinfo_claims: [] }), now);
    expect(plain).toMatchObject({ token_type: "Bearer", expires_in: LIFETIME, scope: "a b" });
    expect(read(reveal(plain.access_token))).toEqual({ ...access, ...shop, sub: "7d3a", subject_type: "client" });
    const machine = await issue({ sector: "a.example" });
    expect(read(machine)).toEqual({ ...access, ...shop, sub: "7d3a", subject_type: "client" });
    expect((await issueAccessToken(tokens, authorization({ dpop_jkt: "thumb" }), now)).token_type).toBe("DPoP");
    const proof = { auth_time: 1, amr: ["otp"], acr: "1fa" };
    const about = await issue({ holds: [], subject: person });
    expect(read(about)).toEqual({ ...access, ...shop, ...proof, sub: "9c1f", subject_type: "user" });

    const id = { ...always, ...proof, aud: "shop", azp: "shop", exp: iat + 60, sub: "9c1f" };
    const idToken = async (subject: Authorization["subject"], claims = {}) => {
      const fields = { audience: "shop", lifetime: 60, claims };
      return read(reveal(await issueIdToken(tokens, authorization({ subject }), fields, now)));
    };
    const { email, ...nobody } = person;
    expect(await idToken(nobody)).toEqual(id);
    expect(await idToken({ ...nobody, email_verified: true })).toEqual(id);
    const named = { audience: "shop", lifetime: 60, acr: "lower" };
    const lower = read(reveal(await issueIdToken(tokens, authorization({ subject: nobody }), named, now)));
    expect(lower, "a class that was named").toEqual({ ...id, acr: "lower" });
    const known = { name: "Ada", phone_number: "+4740000001", email, email_verified: true };
    expect(await idToken({ ...nobody, ...known })).toEqual({ ...id, ...known });
    // What was asked for beside them stays where the subject itself says nothing of it.
    const asked = { name: "Ada", phone_number: "+4740000001", locale: "nb" };
    expect(await idToken(nobody, asked)).toEqual({ ...id, ...asked });
  });

  it("is no exchange token, which is good for its partner, its audience and a quarter of an hour", async () => {
    const { issuing } = authorization();
    const audience = "https://login.example/v1/accounts/P11200001";
    const signFor = async (holder: object) =>
      reveal(await signExchangeToken(tokens, issuing, { client_uuid: "7d3a", ...holder }, audience, now));
    const token = await signFor({});
    const read = (presented = token, by: { account_id: string; issuer: string } = issuing, at = now, to = audience) =>
      readExchangeToken(fresh(), by, to, presented, at);
    const expires_at = Math.floor(now / 1000) + EXCHANGE_LIFETIME;
    expect(await read()).toEqual({ jti: expect.stringMatching(/^[\da-f-]{36}$/), client_uuid: "7d3a", expires_at });
    expect(await read(await signFor({ within: ["a:b", "c"] })), "of a narrowed token").toMatchObject({
      within: ["a:b", "c"],
    });
    expect((await read(await signFor({ within: [] })))?.within, "of one that held nothing").toEqual([]);
    expect(await read(token, issuing, expires_at * 1000 - 1)).toBeDefined();
    expect(await read(token, issuing, expires_at * 1000), "late").toBeUndefined();
    expect(await read(token, issuing, now, issuer), "for another audience").toBeUndefined();
    expect(await read(token, { ...issuing, issuer: `${issuer}/` }), "of another issuer").toBeUndefined();
    expect(await read(token, { ...issuing, account_id: "T00000002" }), "under another key").toBeUndefined();
    expect(await read(`${token.slice(0, -8)}AAAAAAAA`), "signed wrongly").toBeUndefined();
    expect(await read("x.y.z")).toBeUndefined();
    const right = { iss: issuer, sub: "7d3a", aud: audience, exp: expires_at, jti: "j" };
    expect(await read(await signed(right, "exchange+jwt"))).toMatchObject({ jti: "j" });
    expect(await read(await signed(right)), "an access token").toBeUndefined();
    for (const name of ["sub", "jti", "exp"])
      expect(await read(await signed({ ...right, [name]: [expires_at] }, "exchange+jwt")), name).toBeUndefined();
    await refused(verify(token), /not an access token/);
  });
});
