import type { UserType } from "../../directory/clients/client.ts";
import { lookUpUserByCustomerId } from "../../directory/users/find-user.ts";
import type { Identifier } from "../../directory/users/identifier.ts";
import { base64url, hmac } from "../../secrets/digest.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { smallUuid } from "../../secrets/uuid.ts";
import type { Database } from "../../storage/storage.ts";
import { type KnownUser, selectUsersBy } from "./people-store.ts";

/** Whom guesses and codes are counted against. Unknown identifiers get a person too, who behaves the same. */
export interface Person {
  /** The user's uuid, or `x:` and a keyed digest of an identifier nobody is known by. */
  readonly id: string;
  readonly user: KnownUser | null;
  /** It logs nobody in: several users have it, or one whom the account's own provider logs in. */
  readonly barred: boolean;
}

export async function findPerson(
  db: Database,
  keys: MasterKeys,
  account_id: string,
  user_type: UserType,
  identifier: Identifier,
): Promise<Person> {
  const found = await findUsers(db, account_id, user_type, identifier);
  const barred = found.length > 1 || found.some(({ external }) => external);
  const user = barred ? null : (found[0] ?? null);
  return { id: user?.id ?? unknownPerson(keys, account_id, user_type, identifier), user, barred };
}

/** `user_id` may be the account's own name for a user, as where a code is minted for them. */
async function findUsers(db: Database, account_id: string, user_type: UserType, identifier: Identifier) {
  const { type, value } = identifier;
  if (type !== "user_id") return selectUsersBy(db, account_id, user_type, identifier);
  const found = await selectUsersBy(db, account_id, user_type, { type, value: smallUuid(value) });
  if (found.length > 0) return found;
  const named = await lookUpUserByCustomerId(db, account_id, value);
  return named ? selectUsersBy(db, account_id, user_type, { type, value: named.id }) : [];
}

export function unknownPerson(
  keys: MasterKeys,
  account_id: string,
  user_type: UserType,
  identifier: Identifier,
  version = keys.current,
): string {
  return `x:${identifierDigest(keys, account_id, user_type, identifier, version)}`;
}

/**
 * The other name by which codes know whom an address or number means: that of a user from before it was theirs. Who is
 * no user yet has another one while a master key is rotated in, under the second key, and else one of nobody, so that
 * looking for both is the same work for everybody.
 */
export function formerPerson(
  keys: MasterKeys,
  account_id: string,
  user_type: UserType,
  identifier: Identifier,
  { user }: Person,
): string {
  const version = user === null ? keys.versions[1] : keys.current;
  return version === undefined ? "x:" : unknownPerson(keys, account_id, user_type, identifier, version);
}

/** Names an identifier in a budget without holding it. */
export function identifierDigest(
  keys: MasterKeys,
  account_id: string,
  user_type: UserType,
  identifier: Identifier,
  version = keys.current,
): string {
  const key = keys.derive(version, account_id, "identifier");
  return base64url(hmac(key, user_type, identifier.type, identifier.value));
}
