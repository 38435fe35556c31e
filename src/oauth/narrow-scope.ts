import { refuse } from "../errors.ts";

/**
 * The scopes that a request gets out of a grant: all of them when it names none, else exactly those it names. `openid` asks
 * for an ID token; it is never refused and never narrows (OpenID Connect Core §3.1.2.1).
 *
 * @throws 400 invalid_scope.
 */
export function narrowScope(granted: readonly string[], requested: string | undefined): readonly string[] {
  const named = (requested ?? "").split(" ").filter((scope) => scope !== "" && scope !== "openid");
  if (named.length === 0) return granted;
  const unknown = named.find((scope) => !granted.includes(scope));
  if (unknown !== undefined) throw refuse("invalid_scope");
  return [...new Set(named)];
}
