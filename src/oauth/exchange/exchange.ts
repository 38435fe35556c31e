/**
 * `POST auth/exchange_token`: a partner, the owner of an account, asks for a way in on behalf of one of its clients.
 *
 * In: the bearer of the partner's client, and the account. Out: a short-lived exchange token, which that account's
 * `auth/token` takes once (`token/exchange-token.ts`).
 */
import { recordDeed } from "../../audit/audit.ts";
import { isOwner, issuerOf, ownerOf } from "../../directory/accounts/account.ts";
import { findAccount, lookUpAccount } from "../../directory/accounts/find-account.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { grantsOf } from "../../directory/grants/grants-of.ts";
import { refuse, refuseField } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { signExchangeToken } from "../../tokens/exchange-token.ts";
import { issuingOf } from "../authorization-for.ts";
import type { Oauth } from "../oauth.ts";

/**
 * A token by which a partner's client gets one of its own in an account of the same owner that lets owners in.
 *
 * @throws 400 invalid_request where the partner is no owner; 403 access_denied.
 */
export async function exchange(
  { directory, tokens }: Oauth,
  bearer: Bearer,
  account_id: string,
  actor: Actor,
): Promise<Secret> {
  const { account_id: partner_id, client_uuid } = bearer;
  if (!isOwner(partner_id)) throw refuseField("oid", "pattern", "must be an owner: its last five digits are 0");
  await checkLetsIn(directory, partner_id, account_id);
  const issuing = issuingOf(directory, await findAccount(directory, partner_id));
  const now = directory.storage.now();
  const audience = `${issuerOf(directory.public_url, account_id)}/auth/token`;
  const holder = { client_uuid, within: await narrowedTo(directory, bearer) };
  const token = await signExchangeToken(tokens, issuing, holder, audience, now);
  const deed = { account_id: partner_id, action: "auth.exchange_token", entity: account_id, now: instant(now), actor };
  await directory.storage.write((tx) => recordDeed(tx, deed));
  return token;
}

async function checkLetsIn(directory: Directory, partner_id: string, account_id: string): Promise<void> {
  const is_merchant = ownerOf(account_id) === partner_id && account_id !== partner_id;
  const merchant = is_merchant ? await lookUpAccount(directory, account_id) : undefined;
  if (merchant?.settings.partner_access) return;
  throw refuse("access_denied", { message: "That account is not one of this owner's, or lets no owner in." });
}

/** The scopes of a token that has less than its grant gives: what comes of it has no more. */
async function narrowedTo(directory: Directory, bearer: Bearer): Promise<readonly string[] | undefined> {
  const { account_id, client_uuid, grant_id, scope } = bearer;
  const client = await lookUpClient(directory, account_id, client_uuid);
  const grant = client && (await grantsOf(directory, client)).find(({ id }) => id === grant_id);
  return grant?.scope.every((given) => scope.includes(given)) ? undefined : scope;
}
