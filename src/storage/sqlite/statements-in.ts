import type { HotStatement } from "../storage.ts";

type Statement = HotStatement<unknown, unknown>;

/** The hot statements that a module exports, each by itself or in a record. */
export function statementsIn(exported: object): readonly Statement[] {
  const all = Object.values(exported).flatMap((value) => [value, ...Object.values(Object(value) as object)]);
  return (all as Partial<Statement>[]).filter(
    (one): one is Statement => typeof one?.name === "string" && typeof one.sqlite === "function",
  );
}
