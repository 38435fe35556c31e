import type { Account } from "../accounts/account.ts";
import type { Directory } from "../directory.ts";
import { isSameAudience } from "./audience.ts";
import type { Grant, GrantOidc } from "./grant.ts";
import { withoutSlash } from "./provider-callback.ts";

/** A grant whose other server may log people in. */
export type Provided = Grant & { readonly oidc: GrantOidc };

/** Pure: those of a client's grants, for this audience or, where nothing is asked for, of all. */
export function providedFor(
  { public_url }: Pick<Directory, "public_url">,
  account: Account,
  grants: readonly Grant[],
  audience: string | null,
): readonly Provided[] {
  const provided = grants.filter((grant): grant is Provided => grant.oidc !== null);
  if (audience === null) return provided;
  return provided.filter((grant) => isSameAudience(account, public_url, grant.audience, audience));
}

/** Whether one of these grants has the other server of that issuer log people in. */
export const namesProvider = (grants: readonly Pick<Grant, "oidc">[], issuer: string): boolean =>
  grants.some(({ oidc }) => oidc !== null && withoutSlash(oidc.authority) === withoutSlash(issuer));
