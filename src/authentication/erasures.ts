import type { User } from "../directory/users/user.ts";
import type { MasterKeys } from "../secrets/master-keys.ts";
import type { Erasure } from "../storage/erasure.ts";
import { unknownPerson } from "./verification/person.ts";

/** What goes with an erased person, in an order in which each table may lead to the next. */
export const erasures: readonly Erasure[] = [
  { table: "passwords", by: ["user_id"] },
  { table: "factors", by: ["user_id"], addresses: ["target"] },
  { table: "usernames", by: ["user_id"] },
  { table: "federated_identities", by: ["user_id"] },
  { table: "contact_challenges", by: ["user_id"], addresses: ["value"] },
  { table: "verification_codes", by: ["person", "id"], ids: ["id"], addresses: ["email", "phone_number"] },
  { table: "login_sessions", by: ["person", "user_id"], ids: ["id"] },
  { table: "sessions", by: ["user_id"], ids: ["id"] },
  { table: "session_endings", by: ["user_id"] },
  { table: "person_endings", by: ["user_id"] },
  { table: "session_authorizations", by: ["session_id"], ids: ["sid"] },
];

/** Whom codes and guesses were counted against before an address or number was known to be this user's. */
export function formerPersons(
  keys: MasterKeys,
  { account_id, type }: User,
  { email, phone_number }: { readonly email: string | null; readonly phone_number: string | null },
): readonly string[] {
  const named = (kind: "email" | "phone_number", value: string | null) =>
    value === null
      ? []
      : keys.versions.map((version) => unknownPerson(keys, account_id, type, { type: kind, value }, version));
  return [...named("email", email), ...named("phone_number", phone_number)];
}
