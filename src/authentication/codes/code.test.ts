import { createHash, createHmac, hkdfSync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { masterKeys } from "../../secrets/master-keys.ts";
import { reveal, secret } from "../../secrets/secret.ts";
import {
  type Challenge,
  codeDigest,
  deriveCode,
  firstCode,
  formatBytes,
  isCode,
  normaliseCode,
  showCode,
} from "./code.ts";

const key = Buffer.alloc(32, 7);
const keys = masterKeys([key]);
const challenge: Challenge = {
  account_id: "T00000001",
  challenge_id: Buffer.from("000102030405060708090a0b0c0d0e0f", "hex"),
  key_version: keys.current,
  counter: 0,
  format: "typable",
  length: 10,
};

const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 });

function part(text: string | Buffer): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

describe("derivation", () => {
  it("gives the known codes of a known challenge", () => {
    const derived = (format: Challenge["format"], length: number, counter = 0) => {
      const code = deriveCode(keys, { ...challenge, format, length, counter });
      return code && reveal(code);
    };
    expect({
      typable: derived("typable", 10),
      long: derived("typable", 13),
      next: derived("typable", 10, 1),
      six: derived("numeric", 6),
      nine: derived("numeric", 9),
      link: derived("link", 43),
    }).toMatchInlineSnapshot(`
      {
        "link": "xLhcRd4UlypqRokBMnoTdUwGdVm7ma3M-SyDRkkpuJ4",
        "long": "GXDGKT36ZMD3V",
        "next": "5M9K2YW0VJ",
        "nine": "064503441",
        "six": "503441",
        "typable": "GXDGKT36ZM",
      }
    `);
  });

  it("is HMAC-SHA-256 over length-prefixed parts, under a key derived from the master key and the account", () => {
    const derived = Buffer.from(hkdfSync("sha256", key, "latchkey", "code\0T00000001", 32));
    const parts = ["latchkey/code/v1", "T00000001", Buffer.from(challenge.challenge_id), "link", "0"].map(part);
    const expected = createHmac("sha256", derived).update(Buffer.concat(parts)).digest("base64url");
    expect(reveal(deriveCode(keys, { ...challenge, format: "link", length: 43 })!)).toBe(expected);
  });

  it("changes with every part of the challenge", () => {
    const other = masterKeys([Buffer.alloc(32, 8), key]);
    const variants: [typeof keys, Challenge][] = [
      [keys, challenge],
      [keys, { ...challenge, account_id: "T00000002" }],
      [keys, { ...challenge, counter: 1 }],
      [keys, { ...challenge, challenge_id: Buffer.alloc(16) }],
      [other, { ...challenge, key_version: other.current }],
    ];
    expect(new Set(variants.map(([k, c]) => reveal(deriveCode(k, c)!))).size).toBe(variants.length);
    expect(reveal(deriveCode(other, challenge)!)).toBe(reveal(deriveCode(keys, challenge)!));
  });

  it("tries the next counter when a typable code would be all digits", () => {
    expect(formatBytes(new Uint8Array(32).fill(9), "typable", 10)).toBeUndefined();
    expect(formatBytes(new Uint8Array(32).fill(10), "typable", 10)).toBe("AAAAAAAAAA");
    fc.assert(fc.property(bytes32, (bytes) => !/^\d+$/.test(formatBytes(bytes, "typable", 10) ?? "A")));
    // Of one symbol, since ten are digits alone once in a hundred thousand.
    const short = { ...challenge, length: 1 };
    for (let from = 0; from < 50; from++) {
      const { counter, code } = firstCode(keys, { ...short, counter: from });
      expect(counter).toBeGreaterThanOrEqual(from);
      for (let skipped = from; skipped < counter; skipped++)
        expect(deriveCode(keys, { ...short, counter: skipped })).toBeUndefined();
      expect(reveal(code)).toMatch(/^[A-Z]$/);
      expect(reveal(code)).toBe(reveal(deriveCode(keys, { ...short, counter })!));
    }
  });

  it("rejects words that would make some numbers likelier", () => {
    const word = (value: number) => Buffer.from(Uint32Array.of(value).buffer).swap32();
    const above = word(4_294_000_000);
    expect(formatBytes(Buffer.concat(Array.from({ length: 8 }, () => above)), "numeric", 6)).toBeUndefined();
    expect(formatBytes(Buffer.concat([above, word(4_293_999_999)]), "numeric", 6)).toBe("999999");
    expect(formatBytes(Buffer.concat([word(4_000_000_000), word(7)]), "numeric", 9)).toBe("000000007");
  });

  it.each([
    ["typable", 10, 32],
    ["numeric", 6, 10],
    ["numeric", 9, 10],
  ] as const)("is uniform at every place (%s, %i)", (format, length, symbols) => {
    const rounds = 20_000;
    const counts = Array.from({ length }, () => new Map<string, number>());
    for (let n = 0; n < rounds; n++) {
      const bytes = createHash("sha256").update(`${format} ${length} ${n}`).digest();
      const text = formatBytes(bytes, format, length) ?? "";
      for (const [place, symbol] of [...text].entries())
        counts[place]?.set(symbol, (counts[place].get(symbol) ?? 0) + 1);
    }
    const expected = rounds / symbols;
    for (const place of counts) {
      const chiSquare = [...place.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      expect(place.size).toBe(symbols);
      // 31 degrees of freedom: above 75 once in 30,000 samples; the samples here are always the same.
      expect(chiSquare).toBeLessThan(75);
    }
  });
});

describe("what somebody types", () => {
  const sloppy = (code: string, noise: readonly number[]) =>
    [...code]
      .map((symbol, n) => {
        const kind = noise[n % noise.length] ?? 0;
        const typed = symbol === "0" ? "0oO"[kind % 3] : symbol === "1" ? "1iIlL"[kind % 5] : symbol;
        return (
          (kind & 1 ? String(typed).toLowerCase() : String(typed)) + (kind & 8 ? "-" : "") + (kind & 16 ? " " : "")
        );
      })
      .join("");

  it("finds a typable code again however sloppily it was typed", () => {
    fc.assert(
      fc.property(bytes32, fc.constantFrom(10, 13), fc.array(fc.nat(31), { minLength: 1 }), (bytes, length, noise) => {
        const code = formatBytes(bytes, "typable", length);
        fc.pre(code !== undefined);
        const shown = reveal(showCode(secret(code), "typable"));
        for (const typed of [code, shown, sloppy(code, noise), sloppy(shown, noise)]) {
          const presented = normaliseCode(secret(typed));
          expect([presented.kind, reveal(presented.code), presented.length]).toEqual(["typable", code, length]);
        }
      }),
    );
  });

  it("never mistakes one format for another", () => {
    fc.assert(
      fc.property(bytes32, fc.constantFrom(6, 7, 8, 9), (bytes, length) => {
        const numeric = formatBytes(bytes, "numeric", length);
        if (numeric) expect(normaliseCode(secret(numeric)).kind).toBe("numeric");
        const link = normaliseCode(secret(formatBytes(bytes, "link", 43) ?? ""));
        expect([link.kind, reveal(link.code)]).toEqual(["link", formatBytes(bytes, "link", 43)]);
        const pasted = normaliseCode(secret(`\n ${formatBytes(bytes, "link", 43)} `));
        expect([pasted.kind, reveal(pasted.code)]).toEqual(["link", reveal(link.code)]);
      }),
    );
  });

  it.each([
    "",
    "12345",
    "1234567890123456",
    "7KQM4-X2PV",
    "7KQM4-X2PVDA",
    "7KQM4-X2PVU",
    "é7KQM4X2PV",
    "a".repeat(44),
    "'; drop table users",
  ])("calls %j malformed", (typed) => expect(normaliseCode(secret(typed)).kind).toBe("malformed"));

  it("shows a typable code in two halves", () => {
    expect(reveal(showCode(secret("7KQM4X2PVD"), "typable"))).toBe("7KQM4-X2PVD");
    expect(reveal(showCode(secret("123456"), "numeric"))).toBe("123456");
  });

  it("accepts anything without throwing", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (typed) => normaliseCode(secret(typed)).kind.length > 0));
  });
});

describe("a code that somebody typed", () => {
  it("is its challenge's, however it is written, and no other's", () => {
    const is = (typed: string, change: Partial<Challenge> = {}) =>
      isCode(keys, { ...challenge, ...change }, secret(typed));
    expect([is("GXDGKT36ZM"), is(" gxdgk-t36zm ")]).toEqual([true, true]);
    expect([is("GXDGKT36ZN"), is("GXDGKT36Z"), is("GXDGKT36ZM", { counter: 1 })]).toEqual([false, false, false]);
  });

  it("is none where the challenge gives no code", () => {
    const counter = Array.from({ length: 100 }, (_, n) => n).find(
      (n) => !deriveCode(keys, { ...challenge, length: 1, counter: n }),
    );
    expect(counter).toBeDefined();
    expect(isCode(keys, { ...challenge, length: 1, counter: counter ?? 0 }, secret(""))).toBe(false);
  });
});

describe("lookup digests", () => {
  const binding = { account_id: "T00000001", client_id: "c", audience: "a", person: "p" };
  const digest = (
    fields: Partial<typeof binding>,
    format: "typable" | "numeric" | "link" = "numeric",
    code = "123456",
  ) => Buffer.from(codeDigest(keys, keys.current, { ...binding, ...fields }, format, secret(code))).toString("hex");

  it("of numeric codes differ by account, client, audience, person and code", () => {
    const all = [
      digest({}),
      digest({ account_id: "T00000002" }),
      digest({ client_id: "d" }),
      digest({ audience: "b" }),
      digest({ person: "q" }),
      digest({}, "typable"),
      digest({}, "link"),
      digest({}, "numeric", "123457"),
      digest({ client_id: "ca", audience: "" }),
    ];
    expect(new Set(all).size).toBe(all.length);
  });

  it("of codes that are redeemed alone differ by account, format and code only", () => {
    const other = { client_id: "d", audience: "b", person: "q" };
    for (const format of ["typable", "link"] as const) {
      expect(digest(other, format)).toBe(digest({}, format));
      expect(digest({ account_id: "T00000002" }, format)).not.toBe(digest({}, format));
    }
    expect(digest({}, "typable")).not.toBe(digest({}, "link"));
  });
});
