/** What any person may hold at the account API, whatever the client's grant says. */
const personal = new Set(["openid", "profile", "email", "phone"]);

/**
 * The scopes that a person's token gets out of a client's grant. A person never inherits a client's power: at the account
 * API only personal scopes, `user:*` and `public:*` pass, and what that person holds themselves. At any other audience the
 * grant's scopes pass whole, since their meaning is that API's own.
 */
export function personScope(
  grant_scope: readonly string[],
  at_account_api: boolean,
  own_scope: readonly string[] = [],
): readonly string[] {
  if (!at_account_api) return grant_scope;
  const own = new Set(own_scope);
  return grant_scope.filter(
    (scope) => personal.has(scope) || scope.startsWith("user:") || scope.startsWith("public:") || own.has(scope),
  );
}
