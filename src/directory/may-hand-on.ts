import type { Bearer } from "../http/contract.ts";
import type { Account } from "./accounts/account.ts";
import type { ClientSettings } from "./clients/settings.ts";
import { type Directory, lookInTurn } from "./directory.ts";
import { isAnAccountApi } from "./grants/audience.ts";
import { checkHoldsAll, coverageOf } from "./scopes.ts";
import type { Holders } from "./users/account-user.ts";
import { pagesHeld } from "./users/find-account-user.ts";

/**
 * `isHeld`: what the bearer's own scopes cover, where it is asked more than once.
 *
 * @throws 403 insufficient_scope unless the bearer holds every scope of these roles.
 */
export function checkMayAssign(
  bearer: Bearer,
  roles: readonly { readonly scope: readonly string[] }[],
  isHeld?: (scope: string) => boolean,
): void {
  const scopes = roles.flatMap(({ scope }) => scope.map((one) => ({ scope: one, at_account_api: true })));
  checkHoldsAll(bearer, scopes, isHeld);
}

/** @throws 403 insufficient_scope unless the bearer holds every scope of these grants. */
export function checkMayHandOn(
  directory: Directory,
  account: Account,
  bearer: Bearer,
  grants: readonly { readonly audience: string; readonly scope: readonly string[] }[],
): void {
  const scopes = grants.flatMap(({ audience, scope }) => {
    const at_account_api = isAnAccountApi(account, directory.public_url, audience);
    return scope.map((one) => ({ scope: one, at_account_api }));
  });
  checkHoldsAll(bearer, scopes);
}

type Kind = Partial<Pick<ClientSettings, "first_party" | "user_type">>;

/**
 * A first-party client for account users is taken for each of them: its token sets their password and second factor. Of
 * several kinds, what a client is and what it becomes, one may be the one half and another the other: who has logged in
 * account users is not first-party the moment that it gives them up.
 */
export const standsForPeople = (...kinds: readonly Kind[]): boolean =>
  kinds.some(({ first_party }) => first_party === true) && kinds.some(({ user_type }) => user_type === "account_user");

/**
 * Whoever may say what becomes of a client that stands for account users holds all that they hold, and administers the
 * account, since others may come.
 *
 * @param kinds What the client is, and what it becomes.
 * @throws 403 insufficient_scope.
 */
export async function checkMayStandFor(
  directory: Directory,
  account_id: string,
  bearer: Bearer,
  ...kinds: readonly Kind[]
): Promise<void> {
  if (!standsForPeople(...kinds)) return;
  checkMayAssign(bearer, [{ scope: ["admin:accounts"] }]);
  await checkHoldsTheirs(directory, account_id, bearer, { external: false });
}

/**
 * Outside of a transaction, since they may be any number: what they get meanwhile they could as well get after it.
 *
 * @throws 403 insufficient_scope unless the bearer holds all that these account users hold; 503, as `lookInTurn`.
 */
export function checkHoldsTheirs(
  directory: Directory,
  account_id: string,
  bearer: Bearer,
  holders: Holders,
): Promise<void> {
  return lookInTurn(directory, account_id, async () => {
    const isHeld = coverageOf(bearer.scope);
    for await (const held of pagesHeld(directory, account_id, holders)) checkMayAssign(bearer, held, isHeld);
  });
}
