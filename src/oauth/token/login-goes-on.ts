import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { lookUpGrantOf, matchGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { grantsOf } from "../../directory/grants/grants-of.ts";
import { actsForAny, heldNow } from "../../directory/scopes.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import type { User } from "../../directory/users/user.ts";
import { refuse, unlessRefused } from "../../errors.ts";
import { checkProvider } from "../provider-stands.ts";
import { type Family, type Login, type LoginSurface, surfaceOf } from "../refresh/family.ts";
import { audienceNow, REFRESH_SCOPE, userinfoAudience } from "../scopes.ts";

export interface MayRefresh {
  /** Logins that are its own, by its settings or by its grant for the account API. */
  readonly own: boolean;
  /** Those that it got for other clients, as long as it would get them. */
  readonly others: boolean;
}

/** By what tokens of its own give it at the account API, whichever name of that they ask for. */
export async function mayRefresh(directory: Directory, account: Account, client: Client): Promise<MayRefresh> {
  const grants = await grantsOf(directory, client);
  const named = grants.filter(({ audience }) => isAccountApi(account, directory.public_url, audience));
  const scope = heldNow(
    named.flatMap(
      ({ audience }) => matchGrant(directory, account, grants, audience, "client_credentials")?.scope ?? [],
    ),
  );
  const lasting = scope.includes(REFRESH_SCOPE);
  const own = lasting || client.settings.grant_types.includes("refresh_token");
  return { own, others: lasting && actsForAny({ scope }) };
}

/** Where a login began, also one of which a version before did not note it. */
export const beganAt = async (
  directory: Directory,
  account: Account,
  client: Client,
  login: Family,
): Promise<LoginSurface | "device"> =>
  login.surface ?? surfaceOf(login, (await grantOf(directory, account, client, login))?.scope ?? []);

type Given = Pick<Grant, "id" | "scope">;

/**
 * Whether a login of a person of this type goes on at the client whose login it is.
 *
 * @returns what it may still have. @throws 400 invalid_grant.
 */
export async function checkGoesOn(
  directory: Directory,
  account: Account,
  client: Client,
  login: Login,
  { type }: Pick<User, "type">,
): Promise<Given> {
  const grant = await grantOf(directory, account, client, login);
  if (!grant) throw refuse("invalid_grant", { message: "The client's grant for this audience no longer exists." });
  if (type !== client.settings.user_type)
    throw refuse("invalid_grant", { message: "The client logs in another type of user by now." });
  const audience = audienceNow(directory.public_url, account, login.audience);
  await checkProvider(directory, account, client, { ...login, audience });
  return grant;
}

/** Whether the newest token of a login that lives would be taken, from its `holder`, at one surface or the other. */
export async function goesOn(
  directory: Directory,
  account: Account,
  { holder, issuing }: { readonly holder: Client; readonly issuing: Client },
  family: Family,
): Promise<boolean> {
  const may = await mayRefresh(directory, account, holder);
  if (!(family.holder_id === null ? may.own : may.others)) return false;
  const there_alone = (await beganAt(directory, account, holder, family)) !== "account";
  if (there_alone && !holder.settings.grant_types.includes("refresh_token")) return false;
  const person = await lookUpUser(directory, account.account_id, family.user_id);
  if (!person) return false;
  const given = await checkGoesOn(directory, account, issuing, family, person).catch(unlessRefused("invalid_grant"));
  return given !== undefined;
}

/** What the login may still have: of its grant's row, of the account's public grants, or nothing but userinfo. */
async function grantOf(
  directory: Directory,
  account: Account,
  client: Client,
  login: Login,
): Promise<Given | undefined> {
  const { public_url } = directory;
  const audience = audienceNow(public_url, account, login.audience);
  if (login.grant_id === "" && audience === userinfoAudience(public_url, account.account_id))
    return { id: "", scope: [] };
  return lookUpGrantOf(directory, account, client, login);
}
