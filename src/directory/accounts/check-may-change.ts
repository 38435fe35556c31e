import { refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import { type Database, instant } from "../../storage/storage.ts";
import type { Directory } from "../directory.ts";
import { audiencesOf, isAccountApi } from "../grants/audience.ts";
import { listScopesSince, pageGrants } from "../grants/find-grant.ts";
import { checkHoldsTheirs, checkMayAssign, checkMayHandOn } from "../may-hand-on.ts";
import { coverageOf } from "../scopes.ts";
import type { Account } from "./account.ts";
import { findAccount } from "./find-account.ts";
import type { AccountSettings } from "./settings.ts";

/** Milliseconds for which a grant may be on its way into the database before a look finds it there. */
const ON_ITS_WAY = 30_000;
/** Grants that are compared while the account is held: each may give two hundred scopes. */
const FEW = 50;

/** What the owner's grants give here is the owner's affair: anything that this account's operations take. */
const GIVEN_BY_OWNER = ["admin:accounts", "admin:customers"];

/**
 * Four settings give power, so that changing them takes what they could give: `jwks` logs in every external account
 * user, a further name of the account API turns the grants that name it into grants of the account API,
 * `public_client_grants` are grants of every client that registers itself, and `partner_access` lets the owner in.
 *
 * There may be any number of people and grants, so they are looked at before the transaction.
 *
 * @returns what is left to be asked within it, where the account is held.
 * @throws 403 insufficient_scope, as that does, which throws 503 temporarily_unavailable as well: more grants have just
 *   changed than can be compared there.
 */
export async function mayChange(
  directory: Directory,
  account_id: string,
  bearer: Bearer,
  { jwks, api_audiences, public_client_grants, partner_access }: Partial<AccountSettings>,
): Promise<(db: Database, held: Account) => Promise<void>> {
  const since = instant(directory.storage.now() - ON_ITS_WAY);
  const { public_url } = directory;
  /** In every spelling in which a grant may name them. */
  const addedTo = (account: Account) =>
    (api_audiences ?? [])
      .filter((audience) => !isAccountApi(account, public_url, audience))
      .flatMap((audience) => audiencesOf(account, public_url, audience));
  const compared = addedTo(await findAccount(directory, account_id));
  if (jwks !== undefined) await checkHoldsTheirs(directory, account_id, bearer, { external: true });
  const isHeld = coverageOf(bearer.scope);
  if (compared.length > 0) {
    for await (const grants of pageGrants(directory, account_id, { audiences: compared }))
      checkMayAssign(bearer, grants, isHeld);
  }
  return async (db, account) => {
    const { settings } = account;
    if (partner_access && !settings.partner_access) checkMayAssign(bearer, [{ scope: GIVEN_BY_OWNER }]);
    const added = addedTo(account);
    if (added.some((audience) => !compared.includes(audience)))
      throw refuse("temporarily_unavailable", {
        message: "Somebody else has just changed the settings.",
        retry_after: 1,
      });
    const open = new Map(Object.entries({ ...settings.public_client_grants, ...public_client_grants }));
    checkMayAssign(
      bearer,
      added.map((audience) => ({ scope: open.get(audience) ?? [] })),
    );
    const late = await listScopesSince(db, account_id, added, since, FEW + 1);
    if (late.length > FEW)
      throw refuse("temporarily_unavailable", {
        message: "Many grants for these audiences have just changed.",
        retry_after: ON_ITS_WAY / 1000,
      });
    checkMayAssign(bearer, late, isHeld);
    if (public_client_grants === undefined) return;
    const concerned = [settings.public_client_grants, public_client_grants].flatMap(Object.entries<readonly string[]>);
    checkMayHandOn(
      directory,
      account,
      bearer,
      concerned.map(([audience, scope]) => ({ audience, scope })),
    );
  };
}
