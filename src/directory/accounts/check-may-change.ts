import type { Bearer } from "../../http/contract.ts";
import type { Database } from "../../storage/storage.ts";
import type { Directory } from "../directory.ts";
import { listGrants } from "../grants/find-grant.ts";
import { checkMayAssign, checkMayHandOn } from "../may-hand-on.ts";
import { pagesHeld } from "../users/find-account-user.ts";
import type { Account } from "./account.ts";
import type { AccountSettings } from "./settings.ts";

/**
 * Three settings give power, so that changing them takes what they could give: `jwks` logs in every external account
 * user, a further name of the account API turns the grants that name it into grants of the account API, and
 * `public_client_grants` are grants of every client that registers itself.
 *
 * @throws 403 insufficient_scope.
 */
export async function checkMayChange(
  directory: Directory,
  db: Database,
  account: Account,
  bearer: Bearer,
  { jwks, api_audiences, public_client_grants }: Partial<AccountSettings>,
): Promise<void> {
  const { account_id, settings } = account;
  if (jwks !== undefined)
    for await (const held of pagesHeld(directory, db, account_id, { external: true })) checkMayAssign(bearer, held);
  const added = (api_audiences ?? []).filter((audience) => !settings.api_audiences.includes(audience));
  const open = new Map(Object.entries({ ...settings.public_client_grants, ...public_client_grants }));
  for (const audience of added) {
    const grants = await listGrants(directory, account_id, { audiences: [audience] }, db);
    checkMayAssign(bearer, [...grants, { scope: open.get(audience) ?? [] }]);
  }
  if (public_client_grants !== undefined) {
    const concerned = [settings.public_client_grants, public_client_grants].flatMap(Object.entries<readonly string[]>);
    checkMayHandOn(
      directory,
      account,
      bearer,
      concerned.map(([audience, scope]) => ({ audience, scope })),
    );
  }
}
