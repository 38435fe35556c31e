import { covers, isPersonal } from "../directory/scopes.ts";

/** Whether a client's grant gives a scope: at the account API one of its scopes may cover it. */
export const givenBy = (grant_scope: readonly string[], at_account_api: boolean) => (scope: string) =>
  grant_scope.some((held) => (at_account_api ? covers(held, scope) : held === scope));

/**
 * The scopes that a person's token gets out of a client's grant. A person never inherits a client's power: at the account
 * API only personal scopes, `user:*` and `public:*` pass, and what both the grant and that person hold. At any other audience
 * the grant's scopes pass whole, since their meaning is that API's own.
 */
export function personScope(
  grant_scope: readonly string[],
  at_account_api: boolean,
  own_scope: readonly string[] = [],
): readonly string[] {
  if (!at_account_api) return grant_scope;
  const granted = grant_scope.filter((scope) => isPersonal(scope) || own_scope.some((own) => covers(own, scope)));
  const own = own_scope.filter((scope) => grant_scope.some((given) => covers(given, scope)));
  return [...new Set([...granted, ...own])];
}
