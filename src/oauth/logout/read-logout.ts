/**
 * Logging out: by the browser, whose request is understood here and carried out by `pages/logout`, and at the clients,
 * which are told by the back channel (`back-channel.ts`).
 *
 * In: the parameters of RP-Initiated Logout. Out: whom they mean, and where the browser may go on to.
 */
import type { Client } from "../../directory/clients/client.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Oauth } from "../oauth.ts";
import { readHint } from "../read-hint.ts";
import { addToQuery } from "../redirect-address.ts";
import { isMisdescribed, isOutOfReach, lookUpCurrentClient } from "../registration/find-registered-client.ts";

export interface Logout {
  readonly client: Client | undefined;
  /** Whom an ID token is about, where one came. */
  readonly user_id?: string;
  readonly session_id?: string;
  /** Where the browser may go afterwards. */
  readonly address?: Secret;
  /** As in AnswerTo. */
  readonly unchecked?: string;
}

/**
 * Understands a request to log out (OpenID Connect RP-Initiated Logout §2, §3): an ID token of ours says whom and which
 * session it means, and one whose key is gone says nothing; a browser goes on only to an address that the client
 * registered.
 *
 * @throws 400 invalid_request.
 */
export async function readLogout(
  oauth: Oauth,
  account_id: string,
  given: Readonly<Record<string, string | undefined>>,
): Promise<Logout> {
  const { directory, tokens } = oauth;
  const { id_token_hint, client_id, post_logout_redirect_uri, state } = given;
  const read = id_token_hint === undefined ? "none" : await readHint({ directory, tokens }, account_id, id_token_hint);
  if (!read) throw refuse("invalid_request", { message: "id_token_hint is not an ID token of this issuer." });
  const hint = typeof read === "string" ? undefined : read;
  const name = client_id ?? hint?.azp;
  const client = name === undefined ? undefined : await stillDescribed(lookUpCurrentClient(oauth, account_id, name));
  if (name !== undefined && hint?.azp !== undefined && hint.azp !== (client?.client_id ?? name)) {
    throw refuse("invalid_request", { message: "client_id is not the client of id_token_hint." });
  }
  const registered =
    post_logout_redirect_uri !== undefined &&
    client?.settings.post_logout_redirect_uris.includes(post_logout_redirect_uri);
  return {
    client,
    ...(client && client.origin !== "account" ? { unchecked: client.id } : {}),
    ...(hint ? { user_id: hint.user_id } : {}),
    ...(hint?.sid === undefined ? {} : { session_id: hint.sid }),
    ...(registered ? { address: addToQuery(post_logout_redirect_uri, [["state", state]]) } : {}),
  };
}

/** Whose document is wrong, or cannot be had, is as good as unknown: people can log out all the same. */
const stillDescribed = (client: Promise<Client | undefined>) =>
  client.catch((error: unknown) => {
    if (isMisdescribed(error) || isOutOfReach(error)) return undefined;
    throw error;
  });
