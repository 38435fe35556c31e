import type { UpstreamClaims } from "../../authentication/federation/federation.ts";
import type { AuthorizationParameters, AuthorizationRequest } from "./authorization-request.ts";

/** By so much another server's clock may be slow; milliseconds. */
const SKEW = 30_000;

/**
 * Seconds: the `max_age` that another server is asked for. Beside prompt=login it is there for the sake of `auth_time`,
 * which nothing else makes a server state (OpenID Connect Core §2).
 */
export const maxAgeThere = ({ prompt, max_age }: AuthorizationParameters): number | undefined =>
  prompt.includes("login") ? 0 : max_age;

/**
 * Whether a login there is as fresh as the client asks for: it is of after the request began, or, without prompt=login,
 * no older than max_age. One that does not say when it was is not (OpenID Connect Core §3.1.2.1, §3.1.3.7 step 13).
 */
export function isFreshEnough(
  { parameters, created_at }: AuthorizationRequest,
  { auth_time }: UpstreamClaims,
  now: number,
): boolean {
  const allowed = maxAgeThere(parameters);
  if (allowed === undefined) return true;
  const began = Date.parse(created_at);
  const since = parameters.prompt.includes("login") ? began : Math.min(began, now - allowed * 1000);
  return typeof auth_time === "number" && auth_time * 1000 >= since - SKEW;
}
