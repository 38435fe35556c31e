/**
 * `POST oauth/introspect` (RFC 7662): what a token is worth right now.
 *
 * In: the authenticated client, and a token of any kind, whether or not it is one. Out: its claims where it lives and is this
 * client's business; else `active: false`, whatever the reason.
 */
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { sectorOf } from "../../directory/clients/sector.ts";
import { secret } from "../../secrets/secret.ts";
import { subjectIn } from "../../tokens/pairwise.ts";
import type { AccessToken } from "../../tokens/verify.ts";
import { lookUpToken } from "../bearer/find-alive.ts";
import { isApiFor } from "../is-api-for.ts";
import type { Oauth } from "../oauth.ts";
import { holderOf } from "../refresh/family.ts";
import { lookUpLiveFamily } from "../refresh/find-family.ts";
import { goesOn } from "../token/login-goes-on.ts";

type Answer = Record<string, unknown>;

const inactive = { active: false };

/**
 * What a token is worth (RFC 7662 §2.2), to the client that it was issued to, and an access token also to the API that
 * it is for; no token is good to anybody else.
 *
 * @throws 404 not_found.
 */
export async function introspect(oauth: Oauth, client: Client, presented: string): Promise<Answer> {
  const { directory } = oauth;
  const account = await findAccount(directory, client.account_id);
  const token = await lookUpToken(oauth, client.account_id, presented);
  if (!token) return aboutLogin(oauth, account, client, presented);
  const told = token.client_uuid === client.id || (await isApiFor(directory, client, token.audience));
  return told ? aboutToken(token) : inactive;
}

/** Also who acts here for somebody else (RFC 8693 §4.1), and by which class the person logged in (RFC 9470 §6.2). */
function aboutToken(token: AccessToken): Answer {
  return {
    active: true,
    token_type: token.jkt === undefined ? "Bearer" : "DPoP",
    cnf: token.jkt === undefined ? undefined : { jkt: token.jkt },
    scope: token.scope.join(" "),
    exp: token.expires_at,
    iat: token.issued_at,
    sub: token.pairwise_subject ?? token.subject,
    client_id: token.client_id,
    iss: token.issuer,
    aud: token.audience,
    jti: token.jti,
    act: token.act,
    subject_type: token.subject_type,
    auth_time: token.auth_time,
    amr: token.amr,
    acr: token.acr,
  };
}

/** A refresh token is worth a login, to its holder while it would be taken; whose login it is may be another client. */
async function aboutLogin(
  { directory, tokens }: Oauth,
  account: Account,
  client: Client,
  presented: string,
): Promise<Answer> {
  const { account_id } = client;
  const family = await lookUpLiveFamily(directory, account_id, secret(presented));
  if (!family || holderOf(family) !== client.id) return inactive;
  const issuing = family.client_id === client.id ? client : await findClient(directory, account_id, family.client_id);
  if (!(await goesOn(directory, account, { holder: client, issuing }, family))) return inactive;
  const exp = Math.floor(Math.min(Date.parse(family.expires_at), Date.parse(family.idle_expires_at)) / 1000);
  const sub = await subjectIn(tokens, account_id, sectorOf(issuing), family.user_id);
  return { active: true, scope: family.scope.join(" "), sub, client_id: issuing.client_id, exp };
}
