import { expect, it } from "vitest";
import { masterKeys } from "./master-keys.ts";

it("keeps the derived keys of some accounts, and derives the others' anew, alike", () => {
  const keys = masterKeys([Buffer.alloc(32, 1)]);
  const derive = (account_id: string) => keys.derive(keys.current, account_id, "code");
  const first = derive("T00000000");
  expect(derive("T00000000"), "kept").toBe(first);
  for (let n = 1; n <= 20_000; n++) derive(`T${String(n).padStart(8, "0")}`);
  const again = derive("T00000000");
  expect(again, "not kept for good").not.toBe(first);
  expect(again).toEqual(first);
});
