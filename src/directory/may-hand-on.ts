import type { Bearer } from "../http/contract.ts";
import type { Database } from "../storage/storage.ts";
import type { Account } from "./accounts/account.ts";
import type { ClientSettings } from "./clients/settings.ts";
import type { Directory } from "./directory.ts";
import { isAnAccountApi } from "./grants/audience.ts";
import { checkHoldsAll } from "./scopes.ts";
import { pagesHeld } from "./users/find-account-user.ts";

/** @throws 403 insufficient_scope unless the bearer holds every scope of these roles. */
export function checkMayAssign(bearer: Bearer, roles: readonly { readonly scope: readonly string[] }[]): void {
  const scopes = roles.flatMap(({ scope }) => scope.map((one) => ({ scope: one, at_account_api: true })));
  checkHoldsAll(bearer, scopes);
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

type Kind = Pick<ClientSettings, "first_party" | "user_type">;

/**
 * A first-party client for account users is taken for each of them: its token sets their password and second factor. So
 * whoever may say what becomes of one holds all that they hold, and administers the account, since others may come.
 *
 * @param kinds What the client is, and what it becomes.
 * @throws 403 insufficient_scope.
 */
export async function checkMayStandFor(
  directory: Directory,
  db: Database,
  account_id: string,
  bearer: Bearer,
  ...kinds: readonly Partial<Kind>[]
): Promise<void> {
  if (!kinds.some(({ first_party, user_type }) => first_party && user_type === "account_user")) return;
  checkMayAssign(bearer, [{ scope: ["admin:accounts"] }]);
  for await (const held of pagesHeld(directory, db, account_id, { external: false })) checkMayAssign(bearer, held);
}
