import type { Client } from "../../directory/clients/client.ts";
import { refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";

/**
 * Before anything is spent or written down for a client that takes only tokens bound to a key (RFC 9449 §5.2): the
 * account API takes no proofs, so it gives such a client none.
 *
 * @throws 403 unauthorized_client.
 */
export function checkBound({ settings }: Client, dpop_jkt?: string): void {
  if (settings.dpop_bound_access_tokens && dpop_jkt === undefined)
    throw bound("The client's tokens are bound to a key (dpop_bound_access_tokens)");
}

/**
 * … and for whoever would get it by a token that is bound to a key: without that key it would be good anywhere.
 *
 * @throws 403 unauthorized_client.
 */
export function checkUnbound({ jkt }: Bearer): void {
  if (jkt !== undefined) throw bound("The access token is bound to a key, and so are those that it leads to");
}

const bound = (why: string) =>
  refuse("unauthorized_client", { message: `${why}: get them at oauth/token, with a DPoP proof.` });
