/** What a file has twice: the second would be taken for the first, and nobody would hear of it. */
import type { Fault } from "../../errors.ts";
import type { Identity } from "./known.ts";
import type { Plan } from "./plan.ts";

/** `people` are the plan's users, in its order; `canonical` gives an audience of several names one. */
export function faultsOfTwice(
  { roles = [], clients = [] }: Plan,
  people: readonly Identity[],
  canonical: (audience: string) => string,
): readonly Fault[] {
  return [
    ...twice(roles.map(({ name }, at) => [name, `roles.${at}`, "name"])),
    ...twice(clients.map(({ client_id }, at) => [client_id, `clients.${at}`, "client_id"])),
    ...clients.flatMap(({ grants = [] }, at) =>
      twice(
        grants.map(({ audience, type = "any" }, n) => [
          `${type} ${canonical(audience)}`,
          `clients.${at}.grants.${n}`,
          "audience",
        ]),
      ),
    ),
    ...twice(people.map(({ type, email }, at) => [email && `${type} ${email}`, `users.${at}`, "email"])),
    ...twice(people.map(({ customer_id }, at) => [customer_id, `users.${at}`, "customer_id"])),
    ...sharedNumbers(people),
  ];
}

type Entry = readonly [key: string | undefined, place: string, field: string];

function twice(entries: readonly Entry[]): readonly Fault[] {
  const first = new Map<string, string>();
  return entries.flatMap(([key, place, field]) => {
    if (key === undefined) return [];
    const before = first.get(key);
    if (before !== undefined) return [fault(place, field, before)];
    first.set(key, place);
    return [];
  });
}

/** Several may have one number, but not beside somebody who is known by that alone. */
function sharedNumbers(people: readonly Identity[]): readonly Fault[] {
  const first = new Map<string, string>();
  const by_number = new Map<string, string>();
  return people.flatMap((person, at) => {
    if (person.phone_number === undefined) return [];
    const [key, place] = [`${person.type} ${person.phone_number}`, `users.${at}`];
    const before = (person.by_number ? first : by_number).get(key);
    for (const map of person.by_number ? [first, by_number] : [first]) if (!map.has(key)) map.set(key, place);
    return before === undefined ? [] : [fault(place, "phone_number", before)];
  });
}

const fault = (place: string, field: string, before: string): Fault => ({
  path: `${place}.${field}`,
  code: "duplicate",
  message: `is that of ${before} already`,
});
