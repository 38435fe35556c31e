import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hmac, hmacHex, sha256 } from "./digest.ts";

describe("hmac", () => {
  const part = fc.oneof(fc.string({ unit: "binary" }), fc.uint8Array({ maxLength: 100 }));

  it("is HMAC-SHA-256 of the parts, each behind its length, for every key", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 200 }), fc.array(part), (key, parts) => {
        const theirs = createHmac("sha256", key);
        for (const one of parts) {
          const bytes = Buffer.from(one as string);
          const length = Buffer.alloc(4);
          length.writeUInt32BE(bytes.length);
          theirs.update(length).update(bytes);
        }
        const expected = theirs.digest("hex");
        // The second time with a key that was made ready.
        expect(Buffer.from(hmac(key, ...parts)).toString("hex")).toBe(expected);
        expect(Buffer.from(hmac(key, ...parts)).toString("hex")).toBe(expected);
        expect(hmacHex(key, ...parts)).toBe(expected);
      }),
      { numRuns: 500 },
    );
  });

  it("gives answers that later calls leave as they are", () => {
    const key = sha256("a key");
    const [first, copy] = [hmac(key, "one"), Buffer.from(hmac(key, "one"))];
    hmac(key, "two");
    expect(Buffer.from(first)).toEqual(copy);
  });
});
