import type { Client } from "../../directory/clients/client.ts";
import { refuse } from "../../errors.ts";

/**
 * Before anything is spent or written down for a client that takes only tokens bound to a key (RFC 9449 §5.2): the
 * account API takes no proofs, so it gives such a client none.
 *
 * @throws 403 unauthorized_client.
 */
export function checkBound({ settings }: Client, dpop_jkt?: string): void {
  if (!settings.dpop_bound_access_tokens || dpop_jkt !== undefined) return;
  throw refuse("unauthorized_client", {
    message:
      "The client's tokens are bound to a key (dpop_bound_access_tokens): get them at oauth/token, with a DPoP proof.",
  });
}
