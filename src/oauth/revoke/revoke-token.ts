/**
 * `auth/revoke` and `oauth/revoke` (RFC 7009): whoever holds a token ends it.
 *
 * In: the bearer or the authenticated client, and a token. Out: nothing; what hung on it is dead, and an unknown one was.
 */
import { type Client, isPublic } from "../../directory/clients/client.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { revoke } from "../../directory/revoke.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import { secret } from "../../secrets/secret.ts";
import { issuedWith } from "../../tokens/verify.ts";
import { lookUpToken } from "../bearer/find-alive.ts";
import type { Oauth } from "../oauth.ts";
import { holderOf } from "../refresh/family.ts";
import { lookUpFamilyOf, lookUpLiveFamily } from "../refresh/find-family.ts";
import { revokeFamily } from "../refresh/revoke-family.ts";

/**
 * Ends the login of a refresh token; an unknown one is no error (RFC 7009 §2.2).
 *
 * @throws 403 insufficient_scope where the bearer may not act for the client that holds it.
 */
export async function revokeFor(directory: Directory, bearer: Bearer, presented: string, actor: Actor): Promise<void> {
  const family = await lookUpFamilyOf(directory, bearer.account_id, secret(presented));
  if (!family) return;
  checkActsFor(bearer, { id: holderOf(family) });
  await revokeFamily(directory, family, { actor });
}

/**
 * Ends what a client's own token stands for (RFC 7009 §2.1): a refresh token its login, an access token what was issued
 * with it. One that is unknown, or no good any more, is no error, whosever it was (§2.2). Nor is any to a public client:
 * whoever stole a token knows such a client's name, and would learn that the token lives.
 *
 * @throws 400 invalid_grant for another client's.
 */
export async function revokeOwn(oauth: Oauth, client: Client, presented: string, actor: Actor): Promise<void> {
  const { directory } = oauth;
  const { account_id } = client;
  const family = await lookUpFamilyOf(directory, account_id, secret(presented));
  if (family && holderOf(family) === client.id) return revokeFamily(directory, family, { actor });
  const token = family ? undefined : await lookUpToken(oauth, account_id, presented);
  if (token?.client_uuid === client.id)
    return revoke(directory, { account_id, subject: issuedWith(token), entity: token.sid, actor });
  if (isPublic(client.settings)) return;
  if (token || (family && (await lookUpLiveFamily(directory, account_id, secret(presented)))))
    throw refuse("invalid_grant", { message: "The token was issued to another client." });
}
