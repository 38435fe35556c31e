/**
 * How much text the roles of an account user hold together: each look at what somebody holds reads all of it, however few
 * different scopes it gives.
 */
import { refuseField } from "../../errors.ts";
import type { Directory } from "../directory.ts";
import { findLengthsOf } from "../roles/find-role.ts";
import type { Role } from "../roles/role.ts";
import { pagesOfOtherRoles } from "./account-user-store.ts";

type Holding = Pick<Role, "scope">;

/** Characters of the scopes of one user's roles, as they are stored. */
const LONGEST = 100_000;
/** Characters of a role that count for nothing: of such a user may have all that they may have, and nobody has to look. */
const SHORT = 1_000;

const lengthOf = ({ scope }: Holding) => JSON.stringify(scope).length;

const sumOf = (lengths: readonly number[]) => lengths.reduce((sum, length) => (length > SHORT ? sum + length : sum), 0);

const message = (length: number) => `with ${length} characters of scopes; ${LONGEST} is the limit`;

/** @throws 400 invalid_request when these roles are more than one user may have, and more than they have. */
export function checkLength(roles: readonly Holding[]): void {
  checkLengths(roles.map(lengthOf), []);
}

/** … before any of them is read. @throws 400 invalid_request. */
export async function checkLengthOf(
  directory: Directory,
  account_id: string,
  role_ids: readonly string[],
  before: readonly Holding[],
): Promise<void> {
  checkLengths(await findLengthsOf(directory, account_id, role_ids), before);
}

function checkLengths(lengths: readonly number[], before: readonly Holding[]): void {
  const length = sumOf(lengths);
  if (length > LONGEST && length > sumOf(before.map(lengthOf)))
    throw refuseField("roles", "too_many", `are roles ${message(length)}`);
}

/** … of whoever has a role, once it gives these scopes; in its account's turn. @throws 400 invalid_request. */
export async function checkLengthsWith(directory: Directory, role: Role, scope: readonly string[]): Promise<void> {
  const { account_id, id } = role;
  const length = lengthOf({ scope });
  if (length <= SHORT || length <= lengthOf(role)) return;
  for await (const page of pagesOfOtherRoles(directory.storage.read, account_id, id, SHORT)) {
    for (const { user_id, characters } of page) {
      const sum = characters + length;
      if (sum > LONGEST) throw refuseField("scope", "too_many", `would give the user ${user_id} roles ${message(sum)}`);
    }
  }
}
