/**
 * Whether this is what a JOSE library throws about a token or key that somebody else made: its own errors, and those of
 * the WebCrypto underneath it for keys that are none.
 */
export function isBadJwt(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof DOMException) return true;
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "string" && /^ERR_J(OSE|W[AEKST])/.test(code);
}
