import type { Bearer } from "../http/contract.ts";
import type { Account } from "./accounts/account.ts";
import type { Directory } from "./directory.ts";
import { isAnAccountApi } from "./grants/audience.ts";
import { checkHoldsAll } from "./scopes.ts";

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
