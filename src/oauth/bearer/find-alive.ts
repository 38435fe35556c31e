import { issuerOf } from "../../directory/accounts/account.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi } from "../../directory/grants/audience.ts";
import { holdingOfProvider } from "../../directory/users/account-user.ts";
import { refuse, unlessRefused } from "../../errors.ts";
import { type AccessToken, subjectsOf, verifyAccessToken } from "../../tokens/verify.ts";
import type { Oauth } from "../oauth.ts";
import { countedScope } from "../scopes.ts";
import { checkStillGiven, mayHaveLost } from "./still-given.ts";

/** A token of this account that is good now, whatever it is for. @throws 401 invalid_token. */
export async function findAlive(
  { directory, tokens }: Pick<Oauth, "directory" | "tokens">,
  account_id: string,
  token: string,
): Promise<AccessToken> {
  const issuer = issuerOf(directory.public_url, account_id);
  const signed = await verifyAccessToken(tokens, account_id, issuer, token, directory.storage.now());
  const verified = await asCounted(directory, signed);
  directory.revocations.checkAlive(account_id, subjectsOf(verified), verified);
  if (mayHaveLost(directory, account_id, verified)) await checkStillGiven(directory, account_id, verified);
  if (verified.partner_account !== undefined) await checkPartner(directory, verified, verified.partner_account);
  if (verified.holds) await checkOwnProvider(directory, verified, verified.holds);
  return verified;
}

/** As findAlive; undefined when it is none. */
export const lookUpToken = (
  deps: Pick<Oauth, "directory" | "tokens">,
  account_id: string,
  token: string,
): Promise<AccessToken | undefined> => findAlive(deps, account_id, token).catch(unlessRefused("invalid_token"));

/** The audience may have become a name of the account API (`api_audiences`) since the token was given. */
async function asCounted(directory: Directory, token: AccessToken): Promise<AccessToken> {
  if (token.subject_type !== "user") return token;
  const account = await lookUpAccount(directory, token.account_id);
  if (!account || !isAccountApi(account, directory.public_url, token.audience)) return token;
  return { ...token, scope: countedScope(token.scope, token.holds) };
}

/** What came of an ID token of the account's own provider ends when that is taken away, or another takes its place. */
async function checkOwnProvider(
  directory: Directory,
  { account_id }: AccessToken,
  holds: readonly string[],
): Promise<void> {
  const provider = holds.find((held) => held.startsWith("provider:"));
  if (provider === undefined) return;
  const jwks = (await lookUpAccount(directory, account_id))?.settings.jwks;
  if (!jwks || holdingOfProvider(jwks) !== provider)
    throw refuse("invalid_token", { detail: "the provider is not the account's any more" });
}

/** What a partner does here hangs on its own client and grant, which live with it, and on a merchant that lets it in. */
async function checkPartner(directory: Directory, token: AccessToken, partner_account: string): Promise<void> {
  directory.revocations.checkAlive(partner_account, subjectsOf(token));
  await checkStillGiven(directory, partner_account, token);
  const merchant = await lookUpAccount(directory, token.account_id);
  if (!merchant?.settings.partner_access) throw refuse("invalid_token", { detail: "partners are not let in" });
}
