import { generateKeyPairSync, type KeyObject, sign } from "node:crypto";
import fc from "fast-check";
import { CompactSign, compactVerify } from "jose";
import { describe, expect, it } from "vitest";
import { LONGEST_TOKEN } from "../secrets/longest-token.ts";
import { reveal } from "../secrets/secret.ts";
import { type SigningAlg, signing_algs } from "../secrets/signing-alg.ts";
import { parseJws, signJws, verifyJws } from "./jws.ts";

const pairs = new Map<SigningAlg, { privateKey: KeyObject; publicKey: KeyObject }>([
  ["ES256", generateKeyPairSync("ec", { namedCurve: "P-256" })],
  ["RS256", generateKeyPairSync("rsa", { modulusLength: 2048 })],
  ["EdDSA", generateKeyPairSync("ed25519")],
]);

function pairOf(alg: SigningAlg) {
  const pair = pairs.get(alg);
  if (!pair) throw new Error(alg);
  return pair;
}

describe.each(signing_algs)("our own JWS with %s", (alg) => {
  const { privateKey, publicKey } = pairOf(alg);
  const claims = { sub: "ü", n: 1, deep: { a: [1, 2] } };

  it("is what jose verifies", async () => {
    const token = reveal(await signJws({ alg, kid: "k", private_key: privateKey }, "at+jwt", claims));
    const { payload, protectedHeader } = await compactVerify(token, publicKey);
    expect(protectedHeader).toEqual({ alg, typ: "at+jwt", kid: "k" });
    expect(JSON.parse(new TextDecoder().decode(payload))).toEqual(claims);
  });

  it("verifies what jose signed", async () => {
    const token = await new CompactSign(Buffer.from(JSON.stringify(claims)))
      .setProtectedHeader({ alg, typ: "JWT", kid: "k" })
      .sign(privateKey);
    const parsed = parseJws(token);
    expect(parsed?.claims).toEqual(claims);
    expect(parsed && verifyJws(publicKey, alg, parsed)).toBe(true);
  });

  it("does not verify once a single bit is another", async () => {
    const token = reveal(await signJws({ alg, kid: "k", private_key: privateKey }, "JWT", claims));
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.integer({ min: 1, max: 63 }), (at, step) => {
        const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        const index = alphabet.indexOf(token[at] ?? "");
        if (index < 0) return;
        const changed = token.slice(0, at) + alphabet[(index + step) % 64] + token.slice(at + 1);
        const parsed = parseJws(changed);
        expect(parsed === undefined || !verifyJws(publicKey, alg, parsed)).toBe(true);
      }),
    );
  });

  it("uses the key's algorithm, whatever the header says", async () => {
    const token = reveal(await signJws({ alg, kid: "k", private_key: privateKey }, "JWT", claims));
    for (const other of [...signing_algs.filter((name) => name !== alg), "none", "HS256"]) {
      const header = Buffer.from(JSON.stringify({ alg: other, typ: "JWT", kid: "k" })).toString("base64url");
      const parsed = parseJws(`${header}.${token.split(".").slice(1).join(".")}`);
      expect(parsed && verifyJws(publicKey, alg, parsed)).toBe(false);
      // Even where the signature is right.
      const input = `${header}.${token.split(".")[1]}`;
      const options = { key: privateKey, dsaEncoding: "ieee-p1363" } as const;
      const signature = sign(alg === "EdDSA" ? null : "sha256", Buffer.from(input), options).toString("base64url");
      const signed = parseJws(`${input}.${signature}`);
      expect(signed && verifyJws(publicKey, alg, signed)).toBe(false);
    }
  });
});

describe("parsing a JWS", () => {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");

  it("takes nothing but what we write", () => {
    const good = { alg: "ES256", typ: "JWT", kid: "k" };
    expect(parseJws(`${part(good)}.${part({})}.AAAA`)).toBeDefined();
    for (const token of [
      "",
      "a.b",
      "a.b.c.d",
      `${part(good)}.${part({})}.AAAA.AAAA`,
      `${part(good)}.${part({})}.AAAA.AAAA.AAAA`,
      `${part(good)}.${part([])}.AAAA`,
      `${part(good)}.${part("x")}.AAAA`,
      `${part({ ...good, crit: ["b64"] })}.${part({})}.AAAA`,
      `${part({ ...good, b64: false })}.${part({})}.AAAA`,
      ...["alg", "typ", "kid"].flatMap((name) => [
        `${part({ ...good, [name]: undefined })}.${part({})}.AAAA`,
        `${part({ ...good, [name]: 1 })}.${part({})}.AAAA`,
      ]),
      `${part(null)}.${part({})}.AAAA`,
      `${part(good)}.${part(null)}.AAAA`,
      `${part(good)}.${part({})}=.AAAA`,
      `${part(good)}.bm9uc2Vuc2U.AAAA`,
      // Decodes to {} as well, from other characters.
      `${part(good)}.e31.AAAA`,
      `${part(good)}.${part({})}.AAA=`,
      `${part(good)}.${part({})}.AB`,
      `${part(good)}.${part({ a: "a".repeat(LONGEST_TOKEN) })}.AAAA`,
      ` ${part(good)}.${part({})}.AAAA`,
      `${part(good)}.${part({})}.AAAA\n`,
      `${part(good)}.${part({})}.AAAA `,
      `${part(good)}.${part({})}.`,
      `${part(good)}..AAAA`,
    ])
      expect(parseJws(token), token.slice(0, 80)).toBeUndefined();
  });

  it("reads no more than a request holds", () => {
    const start = `${part({ alg: "ES256", typ: "JWT", kid: "kk" })}.${part({})}.`;
    const longest = start + "A".repeat(LONGEST_TOKEN - start.length);
    expect(parseJws(longest)).toBeDefined();
    expect(parseJws(`${longest}AA`)).toBeUndefined();
  });

  it("survives anything", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => parseJws(text) === undefined || text.includes(".")));
  });
});
