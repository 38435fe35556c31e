import type { Directory } from "../directory.ts";
import { withoutNulls } from "../entity.ts";
import type { Grant } from "./grant.ts";
import { providerCallback } from "./provider-callback.ts";

/** A grant on the wire: never with the secret for its provider. */
export function grantView({ public_url }: Directory, { account_id, ...grant }: Grant) {
  const { oidc, ...present } = withoutNulls(grant);
  const whole = { ...present, scope: [...grant.scope] };
  if (!oidc) return whole;
  return { ...whole, oidc: { ...oidc, redirect_uri: providerCallback(public_url, account_id, oidc) } };
}
