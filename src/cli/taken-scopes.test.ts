import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { taken_scopes } from "./taken-scopes.ts";

it("the scopes that operations take are those of the contract", () => {
  const contract = readFileSync(new URL("../../openapi.json", import.meta.url), "utf8");
  const lists = [...contract.matchAll(/Scopes, any of: ((?:`[^`]+`(?:, )?)+)\./g)].map(([, list = ""]) => list);
  const named = lists.flatMap((list) => [...list.matchAll(/`([^`]+)`/g)].map(([, scope]) => scope));
  expect(taken_scopes).toEqual([...new Set(named)].toSorted());
});
