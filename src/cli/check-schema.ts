import type { Static, TSchema } from "typebox";
import { malformed } from "../http/error-reply.ts";
import { faultsOf } from "../http/faults.ts";

/** @throws 400 invalid_request naming every fault, in the words of the API. */
export async function checkSchema<T extends TSchema>(schema: T, value: unknown): Promise<Static<T>> {
  const [{ Errors }, { Settings }] = await Promise.all([import("typebox/value"), import("typebox/system")]);
  Settings.Set({ maxErrors: Number.POSITIVE_INFINITY });
  const found = Errors(schema, value);
  if (found.length > 0) throw malformed(faultsOf(found.flatMap(eachProperty), "the file"));
  return value as Static<T>;
}

type Found = Parameters<typeof faultsOf>[0][number];

/** One finding for each property that is missing or unknown, where TypeBox lists them; of unknown ones it speaks twice. */
function eachProperty(error: Found): readonly Found[] {
  const { requiredProperties: missing, additionalProperties: unknown } = error.params as Record<string, string[]>;
  if (error.keyword === "boolean") return [];
  if (missing) return missing.map((missingProperty) => ({ ...error, params: { missingProperty } }));
  if (unknown) return unknown.map((additionalProperty) => ({ ...error, params: { additionalProperty } }));
  return [error];
}
