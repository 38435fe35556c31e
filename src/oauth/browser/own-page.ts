import type { Account } from "../../directory/accounts/account.ts";
import { lookUpStaffClient } from "../../directory/clients/find-client.ts";
import type { Oauth } from "../oauth.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { storeRequest } from "./begin.ts";

/**
 * A login that ends at a page of ours. It needs a client, because a client says who may log in and how: the first one
 * of the account's own that logs account users in. `afresh` is for where whoever is logged in is not the right one.
 *
 * @returns undefined where the account has none.
 */
export async function requestOwnPage(
  oauth: Oauth,
  account: Account,
  redirect_uri: string,
  afresh: boolean,
): Promise<AuthorizationRequest | undefined> {
  const client = await lookUpStaffClient(oauth.directory, account.account_id);
  if (!client) return undefined;
  const target = { audience: null, grant_id: "", scope: [], openid: false };
  const asks = { prompt: afresh ? (["login"] as const) : [], ui_locales: [], two_factors: false };
  const answer = { redirect_uri, redirect_uri_named: false, response_mode: "query" as const, own_page: true as const };
  return storeRequest(oauth, { account, client, parameters: { ...target, ...asks, ...answer } }, "browser");
}
