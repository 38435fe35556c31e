import { LONGEST_NAME } from "./schema.ts";

/** The parts of what a customer is called, as far as they came as such: a customer's profile. */
export interface NameParts {
  readonly first_name?: string | undefined;
  readonly last_name?: string | undefined;
}

export interface CustomerNames extends NameParts {
  readonly name?: string | null | undefined;
}

/** Null where there is neither. */
const wholeOf = ({ first_name, last_name }: NameParts): string | null =>
  [first_name, last_name].filter(Boolean).join(" ").slice(0, LONGEST_NAME) || null;

/**
 * What changes by these names, of which an empty one is none. The parts make a whole where they are others than before and
 * no other whole comes beside them: one that is named alone leaves the other, and another whole without any ends both.
 * A name that is more than the parts were stays where it is sent along and holds both of now, or one part comes alone; to take
 * a part takes none that is sent along.
 */
export function namesOf(
  given: CustomerNames,
  before: CustomerNames = {},
): { readonly name?: string | null; readonly parts?: NameParts } {
  const known = before.name || null;
  const { first_name: first = before.first_name, last_name: last = before.last_name } = given;
  const parts = { first_name: first || undefined, last_name: last || undefined };
  const named = Boolean(given.first_name || given.last_name);
  const sent = given.name || (given.name === undefined || named ? undefined : null);
  const renamed = sent !== undefined && sent !== known;
  if (parts.first_name === (before.first_name || undefined) && parts.last_name === (before.last_name || undefined))
    return renamed ? { name: sent, parts: named ? parts : {} } : {};
  if (renamed) return { name: sent, parts };
  const taken = (before.first_name && !first) || (before.last_name && !last);
  const made = known === wholeOf(before);
  const holds = [first, last].every((part) => part && sent?.includes(part));
  const makes = made ? sent === undefined || !taken : first && last && !holds;
  return makes ? { name: wholeOf(parts), parts } : { parts };
}
