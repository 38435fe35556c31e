import type { Static, TSchema } from "typebox";
import { malformed } from "../http/error-reply.ts";

/** @throws 400 invalid_request naming every fault. */
export async function checkSchema<T extends TSchema>(schema: T, value: unknown, below: string): Promise<Static<T>> {
  const { Errors } = await import("typebox/value");
  const faults = [...Errors(schema, value)].map((error) => {
    const path = [below, ...error.instancePath.split("/").slice(1)].filter(Boolean).join(".") || "the file";
    return { path, code: error.keyword, message: error.message };
  });
  if (faults.length > 0) throw malformed(faults);
  return value as Static<T>;
}
