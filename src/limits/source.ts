import ipaddr from "ipaddr.js";
import { base64url, hmac } from "../secrets/digest.ts";
import type { MasterKeys } from "../secrets/master-keys.ts";
import type { BudgetName, Charge } from "./budgets.ts";

/**
 * What a stranger at an address takes of: what its own network has, then what all networks of its IPv6 site have; the
 * order of `takeBudgets`.
 */
export function sourceCharges(
  keys: MasterKeys,
  account_id: string,
  address: string,
  [of_source, of_site]: readonly [BudgetName, BudgetName],
): readonly Charge[] {
  const source = { account_id, budget: of_source, subject: sourceSubject(keys, account_id, address) };
  const site = siteSubject(keys, account_id, address);
  return site === undefined ? [source] : [source, { account_id, budget: of_site, subject: site }];
}

/** Many networks (/64) of one IPv6 site (/48), which one attacker may have; undefined for what is no IPv6 address. */
export function siteSubject(keys: MasterKeys, account_id: string, source: string): string | undefined {
  const parsed = ipaddr.isValid(source) ? ipaddr.process(source) : undefined;
  return parsed instanceof ipaddr.IPv6
    ? subjectOf(keys, account_id, `${parsed.parts.slice(0, 3).join(":")}/48`)
    : undefined;
}

/**
 * What a source is called in a budget: a keyed digest, because an address says who somebody is. IPv6 counts by /64,
 * which one household or attacker has for itself; what is no address counts as it is.
 */
export function sourceSubject(keys: MasterKeys, account_id: string, source: string): string {
  return subjectOf(keys, account_id, networkOf(source));
}

const subjectOf = (keys: MasterKeys, account_id: string, network: string) =>
  base64url(hmac(keys.derive(keys.current, account_id, "identifier"), "source", network));

function networkOf(source: string): string {
  if (!ipaddr.isValid(source)) return source;
  const parsed = ipaddr.process(source);
  return parsed instanceof ipaddr.IPv6 ? parsed.parts.slice(0, 4).join(":") : parsed.toString();
}
