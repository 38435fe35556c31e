import { LONGEST_NAME } from "./schema.ts";

/** The parts of what a customer is called, as far as they came as such: a customer's profile. */
export interface NameParts {
  readonly first_name?: string | undefined;
  readonly last_name?: string | undefined;
}

export interface CustomerNames extends NameParts {
  readonly name?: string | null | undefined;
}

/**
 * What changes by these names. The parts make a whole where they are others than before and no other whole comes beside
 * them: one that is named alone leaves the other, and another whole without any ends both.
 */
export function namesOf(
  given: CustomerNames,
  before: CustomerNames = {},
): { readonly name?: string | null; readonly parts?: NameParts } {
  const name = given.name ?? undefined;
  const renamed = name !== undefined && name !== before.name;
  const { first_name = before.first_name, last_name = before.last_name } = given;
  if (first_name === before.first_name && last_name === before.last_name) {
    const named = given.first_name !== undefined || given.last_name !== undefined;
    return renamed ? { name, parts: named ? { first_name, last_name } : {} } : {};
  }
  const whole = [first_name, last_name].filter(Boolean).join(" ").slice(0, LONGEST_NAME) || null;
  return { name: renamed ? name : whole, parts: { first_name, last_name } };
}
