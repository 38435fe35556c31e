import { type OperationNodeSource, SelectModifierNode } from "kysely";

const modifier = (name: "ForUpdate" | "SkipLocked"): OperationNodeSource => ({
  toOperationNode: () => SelectModifierNode.create(name),
});

/**
 * SQL, for the end of a select: what `forUpdate()` and `skipLocked()` say in one that Kysely builds. SQLite runs one
 * write at a time, and is told neither.
 */
export const FOR_UPDATE = modifier("ForUpdate");
export const SKIP_LOCKED = modifier("SkipLocked");
