import { expect, it } from "vitest";
import { canonicalEmail, canonicalPhoneNumber } from "./identifier.ts";

it.each([
  ["Ada@Example.COM", "ada@example.com"],
  [" ada@example.com ", "ada@example.com"],
  ["ada+tag@example.com", "ada+tag@example.com"],
  ["ada@bücher.example", "ada@xn--bcher-kva.example"],
  ["ada@example.com.", "ada@example.com"],
  ["ada@bücher.example.", "ada@xn--bcher-kva.example"],
  ["ada@example.com..", undefined],
  ["ada@example..com", undefined],
  ["ada@.example.com", undefined],
  ["ada@.", undefined],
  ["ada@example.com,eve.example", undefined],
  ['ada@"example.com"', undefined],
  ["ada@(example.com)", undefined],
  ["ada@example.com;eve.example", undefined],
  ["ada", undefined],
  ["ada@", undefined],
  ["@example.com", undefined],
  ["a b@example.com", undefined],
  ["ada@example.com\r\nBcc: eve@example.com", undefined],
  ["<ada@example.com>", undefined],
])("reads %j as %j", (typed, canonical) => expect(canonicalEmail(typed)).toBe(canonical));

it.each([
  ["+47 99 99 99 99", { number: "+4799999999", country: "NO" }],
  ["99999999", { number: "+4799999999", country: "NO" }],
  ["0047 99999999", { number: "+4799999999", country: "NO" }],
  ["+46 70 123 45 67", { number: "+46701234567", country: "SE" }],
  ["12", undefined],
  ["call 99999999", undefined],
  // Longer than a number that can be called from anywhere (E.164 §6.2.1).
  ["+8127.0.0.1040 40000001", undefined],
  // Each reading would lose another zero, and be another number.
  ["+4400740000001", undefined],
])("reads %j as %j", async (typed, canonical) => expect(await canonicalPhoneNumber(typed, "NO")).toEqual(canonical));
