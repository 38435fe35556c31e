import type { FastifySchemaValidationError } from "fastify";
import type { Fault } from "../errors.ts";

/** A request is told of so many: whoever sends thousands of faults is not to have them found words for, nor sent back. */
export const MOST_FAULTS = 50;

/** An example of what a pattern takes, where most people know the thing and not how it is written. */
const such_as: ReadonlyMap<string, string> = new Map([
  ["^[A-Z]{2}$", ", such as NO"],
  ["^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", ", such as nb or en-GB"],
]);

const sentences: Record<string, (params: Record<string, unknown>) => [code: string, message: string]> = {
  required: () => ["required", "is required"],
  type: ({ type }) => ["type", `must be ${article(String(type))}`],
  enum: ({ allowedValues }) => ["enum", `must be one of ${listed(allowedValues)}`],
  const: ({ allowedValue }) => ["enum", `must be ${String(allowedValue)}`],
  pattern: ({ pattern }) => ["pattern", `must match ${String(pattern)}${such_as.get(String(pattern)) ?? ""}`],
  format: ({ format }) => ["format", `is not a valid ${String(format)}`],
  minLength: ({ limit }) =>
    limit === 1 ? ["empty", "must not be empty"] : ["too_short", `must have at least ${limit} characters`],
  maxLength: ({ limit }) => ["too_long", `must have at most ${limit} characters`],
  minimum: ({ limit }) => ["too_small", `must be at least ${limit}`],
  maximum: ({ limit }) => ["too_large", `must be at most ${limit}`],
  minItems: ({ limit }) => ["too_few", `must have at least ${limit} entries`],
  maxItems: ({ limit }) => ["too_many", `must have at most ${limit} entries`],
  uniqueItems: () => ["repeated", "must not name one thing twice"],
  minProperties: () => ["required", "must name at least one setting"],
  additionalProperties: () => ["unknown", "is not a known field"],
};

/** Ajv's findings in words a caller can act on; never with the value that was sent, which may be a secret. */
export function faultsOf(
  validation: readonly FastifySchemaValidationError[],
  context: string | undefined,
): readonly Fault[] {
  const seen = new Map<string, Fault>();
  for (const { keyword, instancePath, params } of validation) {
    const path = pathOf(instancePath, params) || (context ?? "body");
    const sentence = sentences[keyword];
    // anyOf and friends repeat what their branches have said; that null would do as well helps nobody.
    if (!sentence || (keyword === "type" && params.type === "null")) continue;
    const [code, message] = sentence(params);
    if (!seen.has(`${path} ${code}`)) seen.set(`${path} ${code}`, { path, code, message });
  }
  if (seen.size > 0) return [...seen.values()];
  return [{ path: context ?? "body", code: "invalid", message: "does not have the documented form" }];
}

function pathOf(instancePath: string, params: Record<string, unknown>): string {
  const steps = instancePath
    .split("/")
    .slice(1)
    .map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = params.missingProperty ?? params.additionalProperty;
  return [...steps, ...(typeof last === "string" ? [last] : [])].join(".").slice(0, 200);
}

function article(type: string): string {
  return /^[aeiou]/.test(type) ? `an ${type}` : `a ${type}`;
}

function listed(values: unknown): string {
  return Array.isArray(values) ? values.map((value) => JSON.stringify(value)).join(", ") : "the documented values";
}
