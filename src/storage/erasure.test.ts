import { expect, it } from "vitest";
import { speaksOf } from "./erasure.ts";

const ada = {
  account_id: "T00000001",
  ids: new Set(["ada"]),
  addresses: new Set(["{ada@example.com", "ada@example.com"]),
};

it("a person is found in texts and in JSON, whatever a text begins with", () => {
  expect(speaksOf(ada, "{Ada@example.com")).toBe(true);
  expect(speaksOf(ada, '{"to":{"email":"Ada@example.com"}}')).toBe(true);
  expect(speaksOf(ada, "{x@evil.example")).toBe(false);
  expect(speaksOf(ada, '{"to":"bob@example.com"}')).toBe(false);
  expect(speaksOf(ada, null)).toBe(false);
});
