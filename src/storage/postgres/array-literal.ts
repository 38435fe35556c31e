import type { Bindable } from "../storage.ts";

const SPECIAL = /["\\]/;

/**
 * An array as PostgreSQL reads it (its manual §8.15.2). The driver's own takes four times as long, since it replaces in every text what
 * hardly any has.
 */
export function arrayLiteral(values: readonly Bindable[]): string {
  let text = "{";
  for (const value of values) text += text === "{" ? elementOf(value) : `,${elementOf(value)}`;
  return `${text}}`;
}

function elementOf(value: Bindable): string {
  if (value === null) return "NULL";
  if (typeof value === "string") return SPECIAL.test(value) ? `"${value.replace(/["\\]/g, "\\$&")}"` : `"${value}"`;
  if (value instanceof Uint8Array)
    return `"\\\\x${Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("hex")}"`;
  return String(value);
}
