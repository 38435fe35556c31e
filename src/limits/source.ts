import ipaddr from "ipaddr.js";
import { base64url, hmac } from "../secrets/digest.ts";
import type { MasterKeys } from "../secrets/master-keys.ts";

/**
 * What a source is called in a budget: a keyed digest, because an address says who somebody is. IPv6 counts by /64,
 * which one household or attacker has for itself; what is no address counts as it is.
 */
export function sourceSubject(keys: MasterKeys, account_id: string, source: string): string {
  return base64url(hmac(keys.derive(keys.current, account_id, "identifier"), "source", networkOf(source)));
}

function networkOf(source: string): string {
  if (!ipaddr.isValid(source)) return source;
  const parsed = ipaddr.process(source);
  return parsed instanceof ipaddr.IPv6 ? parsed.parts.slice(0, 4).join(":") : parsed.toString();
}
