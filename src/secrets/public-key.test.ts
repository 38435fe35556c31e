import { createLocalJWKSet, exportJWK, generateKeyPair, type JWK, jwtVerify, SignJWT } from "jose";
import { describe, expect, it } from "vitest";
import { isUsable, usableOf } from "./public-key.ts";

describe("a key in somebody's set", () => {
  it.each([
    ["as it is", {}, []],
    ["whose absent members are null", { n: null, e: null, key_ops: null, use: null }, []],
    ["beside one with nulls", {}, [{ kty: "RSA", n: null, e: null }]],
    ["beside ones that are none", {}, [null, 1, "key", []]],
    [
      "beside ones that cannot be read",
      {},
      [
        { kty: "EC", key_ops: 1 },
        { kty: "EC", key_ops: {} },
        { kty: "RSA", n: 1 },
      ],
    ],
  ])("still checks: %s", async (_, more, beside) => {
    const { publicKey, privateKey } = await generateKeyPair("ES256", { extractable: true });
    const key = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", ...more };
    const jwt = await new SignJWT({}).setProtectedHeader({ alg: "ES256", kid: "1" }).sign(privateKey);
    const set = usableOf(JSON.parse(JSON.stringify({ keys: [...beside, key] })));
    expect((await jwtVerify(jwt, createLocalJWKSet(set))).protectedHeader.kid).toBe("1");
  });

  it("is of no use where a part of it is no text", () => {
    for (const part of [{ n: 1 }, { key_ops: "verify" }, { key_ops: 1 }, { key_ops: [1] }, { kty: ["EC"] }])
      expect(isUsable(part as unknown as JWK), JSON.stringify(part)).toBe(false);
  });
});
