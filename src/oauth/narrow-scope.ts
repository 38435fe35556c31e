import { refuse } from "../errors.ts";
import { spaceSeparated } from "./space-separated.ts";

/**
 * The scopes that a request gets out of a grant: all of them when it names none, else exactly those it names. `openid` asks
 * for an ID token; it is never refused and never narrows, and named beside others it is got where it was granted (OpenID Connect
 * Core §3.1.2.1).
 *
 * @throws 400 invalid_scope.
 */
export function narrowScope(granted: readonly string[], requested: string | undefined): readonly string[] {
  const named = spaceSeparated(requested);
  const narrowing = named.filter((scope) => scope !== "openid");
  if (narrowing.length === 0) return granted;
  if (narrowing.some((scope) => !granted.includes(scope))) throw refuse("invalid_scope");
  return [...new Set(named)].filter((scope) => granted.includes(scope));
}
