/** The root of a host has an empty path or "/", and programs write the one for the other (RFC 3986 §6.2.3). */
const ROOT = /^(https?:\/\/[^/?#]+)\/$/i;

/**
 * The name of an API in the one spelling by which it is compared and kept. To tell the two of a root apart would keep clients
 * out and nobody else, since what is at a host is its own. Any other name has one spelling.
 */
export const oneSpelling = (audience: string): string => audience.replace(ROOT, "$1");

/** Every spelling of the name of an API. */
export function spellingsOf(audience: string): readonly string[] {
  const one = oneSpelling(audience);
  return oneSpelling(`${one}/`) === one ? [one, `${one}/`] : [one];
}

/** Whether all of these name one API, in whichever spelling. */
export const nameOne = (audiences: readonly string[]): boolean => new Set(audiences.map(oneSpelling)).size <= 1;
