import { expect, it } from "vitest";
import { accepts } from "./accepts.ts";

it("reads what a browser may send of Accept, and no more than that", () => {
  const usual = "application/xhtml+xml, text/html;q=0.9, */*;q=0.8";
  expect([accepts(usual, "text/html"), accepts(usual, "application/json")]).toEqual([true, false]);
  expect([accepts("text/html;q=0.0", "text/html"), accepts(undefined, "text/html")]).toEqual([false, false]);
  expect(accepts(`${",".repeat(20)}text/html`, "text/html")).toBe(false);
});
