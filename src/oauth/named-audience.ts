import { type Refusal, refuse } from "../errors.ts";
import { nameOne } from "../http/one-spelling.ts";

/** What a request is refused with that needs an API, where neither it nor its client names one: none is guessed at. */
export const unnamed = (code: "invalid_target" | "invalid_scope", what: string): Refusal =>
  refuse(code, { message: `${what}: name it as resource or audience, or set the client's default_audience.` });

/** The parameters that name an API. */
export const targets = ["resource", "audience"] as const;

/**
 * The API that a request names, by whichever name of the parameter (RFC 8707 §2, RFC 8693 §2.1): a token is for one.
 *
 * @throws 400 invalid_target when they name two.
 */
export function namedAudience({
  resource,
  audience,
}: {
  readonly resource?: string | undefined;
  readonly audience?: string | undefined;
}): string | undefined {
  if (resource !== undefined && audience !== undefined && !nameOne([resource, audience]))
    throw refuse("invalid_target", { message: "resource and audience name different APIs." });
  return resource ?? audience;
}
