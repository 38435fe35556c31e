/**
 * Everything that reads what strangers write, under coverage-guided fuzzing: it may refuse, in its documented way, and
 * do nothing else. What it takes has to mean one thing. FUZZ_REQUESTS asks for more inputs as well, FUZZ_SEED for the
 * same again. PROOF_OUT names a file that gets a line of JSON for all parsers together.
 */
import { generateKeyPairSync, sign } from "node:crypto";
import { appendFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { normaliseCode } from "../../src/authentication/codes/code.ts";
import { renderMail, renderSms } from "../../src/delivery/render.ts";
import { canonicalAccountId } from "../../src/directory/accounts/account.ts";
import { callbackFault, matchRedirectUri } from "../../src/directory/clients/callback.ts";
import type { Client } from "../../src/directory/clients/client.ts";
import { canonicalEmail, canonicalPhoneNumber } from "../../src/directory/users/identifier.ts";
import { type ErrorCode, Refusal } from "../../src/errors.ts";
import { readForwarded } from "../../src/http/forwarded.ts";
import { parseStrict } from "../../src/http/strict-form.ts";
import { readClaims } from "../../src/oauth/browser/read-claims.ts";
import { matchAssertion } from "../../src/oauth/client-authentication/client-assertion.ts";
import { authenticate } from "../../src/oauth/client-authentication/client-authentication.ts";
import { readProof } from "../../src/oauth/dpop/dpop.ts";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { parseJws } from "../../src/tokens/jws.ts";
import { addClient, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { type Guided, guided } from "./guided.ts";

/** Inputs of each parser. */
const RUNS = Math.max(250, Number(process.env.FUZZ_REQUESTS ?? 0) / 200);
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
/** Milliseconds; no input may keep a parser busy. */
const LONGEST = 250;

let [inputs, ways] = [0, 0];
const began = performance.now();
afterAll(() => {
  const { PROOF_OUT } = process.env;
  const seconds = Math.round((performance.now() - began) / 1000);
  if (PROOF_OUT)
    appendFileSync(PROOF_OUT, `${JSON.stringify({ what: "parsers", seed: SEED, inputs, ways, seconds })}\n`);
});

async function fuzz(seeds: readonly string[], check: (input: string) => unknown): Promise<Guided> {
  const timed = async (input: string) => {
    let took = Number.POSITIVE_INFINITY;
    // A machine that was busy with something else is not as slow twice more.
    for (let tries = 0; tries < 3 && took > LONGEST; tries++) {
      const began = performance.now();
      await check(input);
      took = performance.now() - began;
    }
    if (took > LONGEST) throw new Error(`took ${took} ms`);
  };
  const found = await guided({ seeds, runs: RUNS, seed: SEED, check: timed });
  inputs += RUNS;
  ways += found.ways;
  return found;
}

/** Runs it; the only way to fail is one of these refusals. */
async function refusing<T>(codes: readonly ErrorCode[], work: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Refusal && codes.includes(error.code)) return undefined;
    throw error;
  }
}

const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const signed = (header: object, claims: object) => {
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(input), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${input}.${signature.toString("base64url")}`;
};
const jwk = publicKey.export({ format: "jwk" });

describe("fuzzed parsers", { timeout: 60_000 + RUNS * 60 }, () => {
  it("JWT: taken only in the one spelling that its parts have", () =>
    fuzz(
      [signed({ alg: "ES256", kid: "k", typ: "at+jwt" }, { sub: "x" }), `${encode({ alg: "none" })}.${encode({})}.`],
      (text) => {
        const parsed = parseJws(text);
        if (!parsed) return;
        expect(`${parsed.input}.${parsed.signature.toString("base64url")}`).toBe(text);
        expect([typeof parsed.header.alg, typeof parsed.header.kid, typeof parsed.header.typ]).toEqual(
          Array(3).fill("string"),
        );
      },
    ));

  it("redirect URI: what may be registered is a URL without a fragment, and is matched by itself alone", () =>
    fuzz(
      [
        "https://shop.example/callback?a=b",
        "http://127.0.0.1:8080/x",
        "http://[::1]/",
        "http://localhost:3000/",
        "com.example.app:/cb",
      ],
      async (text) => {
        const fault = callbackFault(text);
        const settings = { callbacks: [text], token_endpoint_auth_method: "none" };
        const client = { settings } as unknown as Client;
        if (fault === undefined) {
          expect(new URL(text).hash).toBe("");
          expect(new URL(text).username).toBe("");
          expect(matchRedirectUri(client, text)).toBe(text);
        }
        const safe = { settings: { ...settings, callbacks: ["https://shop.example/callback", "http://127.0.0.1/cb"] } };
        const matched = await refusing(["redirect_uri_mismatch"], () =>
          matchRedirectUri(safe as unknown as Client, text),
        );
        if (matched !== undefined)
          expect(matched).toMatch(/^https:\/\/shop\.example\/callback$|^http:\/\/127\.0\.0\.1(:\d{1,5})?\/cb$/);
      },
    ));

  /** What code that reads a form must not take for something that was sent. */
  const OF_EVERY_OBJECT = Reflect.ownKeys(Object.prototype);

  it("form: every name once, and what comes out goes in again", async () => {
    const seeds = ["a=b&c=d", "state=%C3%A9&x=+"];
    const { corpus } = await fuzz(seeds, (text) => {
      const { values, faults } = parseStrict(Buffer.from(text, "utf8").toString("latin1"));
      for (const name of OF_EVERY_OBJECT)
        expect(name in values && !Object.hasOwn(values, name), String(name)).toBe(false);
      if (faults.length > 0) return;
      expect({ ...parseStrict(new URLSearchParams(values).toString()).values }).toEqual({ ...values });
    });
    // It was led further than where it began, or it would not be guided at all.
    expect(corpus.length).toBeGreaterThan(seeds.length);
  });

  it("oid: three or eight digits, and canonical for good", () =>
    fuzz(["T112", "P12345678", "T11200000", "X1"], (text) => {
      const id = canonicalAccountId(text);
      if (id === undefined) return;
      expect(id).toMatch(/^[PT][0-9]{8}$/);
      expect(canonicalAccountId(id)).toBe(id);
    }));

  it("e-mail address: one person has one spelling", () =>
    fuzz(["ada@example.com", " Ada+x@EXAMPLE.com ", "é@münchen.example", "a@[::1]"], (text) => {
      const email = canonicalEmail(text);
      if (email === undefined) return;
      expect(email).toMatch(/^[^\s@]+@[^\s@]+$/);
      expect(canonicalEmail(email)).toBe(email);
      expect(email).not.toMatch(/[\r\n\0<>]/);
    }));

  it("phone number: E.164, and canonical for good", () =>
    fuzz(
      ["+47 400 00 001", "0047 40000001", "+1 (555) 123-4567", "12345678", "+8127.0.0.1040 40000001", "+٤٧٤٠٠٠٠٠٠١"],
      async (text) => {
        const phone = await canonicalPhoneNumber(text, "NO");
        if (!phone) return;
        expect(phone.number).toMatch(/^\+[0-9]{5,15}$/);
        expect((await canonicalPhoneNumber(phone.number, "DK"))?.number).toBe(phone.number);
      },
    ));

  it("verification code: its canonical form is its own", () =>
    fuzz(["7KQM4-X2PVD", "123456", "A".repeat(43), "oOiIlL 7k"], (text) => {
      const { kind, code } = normaliseCode(secret(text));
      if (kind === "malformed") return;
      const again = normaliseCode(code);
      expect([again.kind, reveal(again.code)]).toEqual([kind, reveal(code)]);
    }));

  it("templates: a client's name stays text, and one line", () =>
    fuzz(["The Shop", "<script>alert(1)</script>", "a\r\nBcc: x@example.com", "\u202eevil"], (client_name) => {
      for (const purpose of ["login", "signup"] as const) {
        const notice = {
          purpose,
          connection: "email",
          strategy: "email",
          to: "a@example.com",
          locale: "en",
          client_name,
          lifetime: 600,
          host: null,
        } as const;
        const rendering = {
          id: "1",
          account_id: "T00000001",
          to: "a@example.com",
          created_at: "2026-11-30T23:44:59.999Z",
          notice,
          code: secret("7KQM4-X2PVD"),
          link: null,
        };
        const { subject, html } = renderMail(rendering);
        expect(subject).not.toMatch(/[\p{Cc}\u2028\u2029]/u);
        expect(subject).not.toContain("7KQM4");
        const empty = reveal(renderMail({ ...rendering, notice: { ...notice, client_name: "x" } }).html);
        const tags = (text: string) => text.match(/<[a-z/!]/gi)?.length;
        expect(tags(reveal(html))).toBe(tags(empty));
        expect(reveal(renderSms(rendering).text)).toContain("7KQM4-X2PVD");
      }
    }));

  it("Forwarded: never more hops than were named", () =>
    fuzz(['for=192.0.2.60;proto=http, for="[2001:db8::1]:4711"', "for=unknown", 'for="_hidden"'], (forwarded) => {
      const headers: Record<string, string> = { forwarded };
      readForwarded({ headers } as unknown as IncomingMessage);
      if (forwarded.trim() === "") return expect(headers["x-forwarded-for"]).toBeUndefined();
      expect(headers["x-forwarded-for"]?.split(", ").length).toBeGreaterThanOrEqual(1);
      expect(headers["x-forwarded-for"]).not.toMatch(/[[\]]/);
    }));

  it("claims: refused, or names that there are", () =>
    fuzz(
      ['{"id_token":{"email":null,"acr":{"values":["x"]}},"userinfo":{"sub":{"value":"y"}}}', "[]", "{"],
      async (text) => {
        const read = await refusing(["invalid_request"], () => readClaims(text));
        if (read?.sub !== undefined) expect(typeof read.sub).toBe("string");
      },
    ));
});

describe("fuzzed credentials", { timeout: 60_000 + RUNS * 60 }, () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey("sqlite");
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());
  const directory = () => latchkey.server.core.directory;

  it("Basic: the client's own pair, or invalid_client", () => {
    const pair = `${tenant.client.client_id}:${tenant.client.client_secret}`;
    const basicOf = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
    const basic = basicOf(pair);
    return fuzz([basic, basicOf("\0:x"), "Basic Og==", "Bearer x"], async (header) => {
      const found = await refusing(["invalid_client", "invalid_request"], () =>
        authenticate(
          { directory: directory(), documents: undefined as never },
          { account_id: tenant.account_id, ip: "", headers: { authorization: header } },
          {},
        ),
      );
      if (found) expect(Buffer.from(header.slice(5), "base64").toString("utf8")).toContain(tenant.client.client_secret);
    });
  });

  it("DPoP: a signed proof is asked for a nonce, everything else is no proof", () => {
    const claims = {
      jti: "j",
      htm: "POST",
      htu: `${latchkey.config.public_url}/x`,
      iat: Math.floor(Date.now() / 1000),
    };
    const proof = signed({ typ: "dpop+jwt", alg: "ES256", jwk }, claims);
    const foreign = signed({ typ: "dpop+jwt", alg: "ES256", jwk: { ...jwk, d: "AA" } }, claims);
    return fuzz([proof, foreign, `${encode({ alg: "none", jwk })}.${encode(claims)}.`], async (text) => {
      const presented = { authorization: undefined, proof: text, method: "POST", path: "/x" };
      expect(
        await refusing(["invalid_dpop_proof", "use_dpop_nonce"], () =>
          readProof(directory(), tenant.account_id, presented),
        ),
      ).toBeUndefined();
    });
  });

  it("JWK and assertion: nobody is let in by a key of their own, or by one that is none", async () => {
    const kid = "k";
    const broken = { kty: "EC", crv: "P-256", x: "AA", y: "AA", kid };
    const settings = { token_endpoint_auth_method: "private_key_jwt", jwks: { keys: [broken] } } as const;
    const client = await addClient(latchkey, tenant.account_id, settings as never);
    const claims = { aud: tenant.issuer, jti: "1", exp: Math.floor(Date.now() / 1000) + 60 };
    const seeds = [tenant.client, client, { client_id: "\0" }].map(({ client_id }) =>
      signed({ alg: "ES256", kid, jwk }, { ...claims, iss: client_id, sub: client_id }),
    );
    await fuzz(seeds, async (text) => {
      const found = refusing(["invalid_request"], () =>
        matchAssertion({ directory: directory(), documents: undefined as never }, tenant.account_id, text, "token"),
      );
      expect(await found).toBeUndefined();
    });
  });
});
