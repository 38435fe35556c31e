import { base64url, hmac } from "../secrets/digest.ts";
import type { MasterKeys } from "../secrets/master-keys.ts";

/** What a source is called in a budget: a keyed digest, because an address says who somebody is. */
export function sourceSubject(keys: MasterKeys, account_id: string, source: string): string {
  return base64url(hmac(keys.derive(keys.current, account_id, "identifier"), "source", source));
}
