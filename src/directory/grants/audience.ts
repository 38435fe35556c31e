import type { Account } from "../accounts/account.ts";
import { issuerOf } from "../accounts/account.ts";

/**
 * An audience is an opaque string, save for the account API: its issuer, the names that its clients were written with and
 * the account's own `api_audiences` are aliases of one audience.
 */
export function isAccountApi(account: Account, public_url: string, audience: string): boolean {
  const { account_id, settings } = account;
  if (settings.api_audiences.includes(audience)) return true;
  const short = account_id.endsWith("00000") ? [account_id.slice(0, 4)] : [];
  return [account_id, ...short].some((id) => aliases(public_url, id).includes(audience));
}

function aliases(public_url: string, id: string): string[] {
  const { host } = new URL(public_url);
  return [
    issuerOf(public_url, id),
    `https://api.dintero.com/v1/accounts/${id}`,
    `https://${id}@api.dintero.com/v1/accounts/${id}`,
    `https://${id}@${host}/v1/accounts/${id}`,
  ];
}

/** One name for an audience, whatever alias of it was asked for. */
export function canonicalAudience(account: Account, public_url: string, audience: string): string {
  return isAccountApi(account, public_url, audience) ? issuerOf(public_url, account.account_id) : audience;
}
