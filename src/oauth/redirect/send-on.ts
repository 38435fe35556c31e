/**
 * `POST auth/redirect`: a person who is logged in at one client is sent on to another, and takes their login along.
 *
 * In: the person's bearer, the client and its callback. Out: that address with an ID token made for it.
 */
import { recordDeed } from "../../audit/audit.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { checkAlive } from "../../directory/check-alive.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import type { Client } from "../../directory/clients/client.ts";
import { sectorOf } from "../../directory/clients/sector.ts";
import type { Actor } from "../../directory/directory.ts";
import { judgeClient } from "../../directory/judge.ts";
import { findUser } from "../../directory/users/find-user.ts";
import type { Bearer } from "../../http/contract.ts";
import { malformed } from "../../http/error-reply.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import type { UserSubject } from "../../tokens/authorization.ts";
import { issueIdToken } from "../../tokens/issue.ts";
import { acrOf, issuingOf } from "../authorization-for.ts";
import { isForeign } from "../consents/consent.ts";
import type { Oauth } from "../oauth.ts";
import { addToQuery } from "../redirect-address.ts";
import { findHoldersClient } from "../registration/find-current-client.ts";
import type { RedirectRequest } from "./schema.ts";

/**
 * The address that a person is sent on to, with an ID token about them made for it: no more in it than was asked for,
 * the client may say and, where the client is not the account's own, the person agreed to.
 *
 * @throws 400 redirect_uri_mismatch, invalid_request; 403 unauthorized_client.
 */
export async function sendOn(oauth: Oauth, bearer: Bearer, request: RedirectRequest, actor: Actor): Promise<Secret> {
  const { directory, tokens } = oauth;
  const { account_id } = bearer;
  const { storage } = directory;
  const account = await findAccount(directory, account_id);
  const client = await findHoldersClient(oauth, account_id, bearer.client_uuid);
  const match = (current: Client) => matchRedirectUri(current, request.redirect_uri);
  const redirect_uri = await judgeClient(directory, client, match);
  const claims = customClaims(request.custom_claims ?? {}, client.settings.custom_claims);
  const agreed = (scope: string) => !isForeign(client) || bearer.scope.includes(scope);
  const wanted = (request.claims ?? []).filter((claim) => agreed(SCOPE_OF[claim]));
  const subject = await subjectOf(directory, bearer, wanted);
  const now = storage.now();
  const authorization = {
    issuing: issuingOf(directory, account),
    sid: bearer.sid,
    subject,
    client_id: client.client_id,
    client_uuid: client.id,
    audience: redirect_uri,
    scope: [],
    sector: sectorOf(client),
    id_token_alg: client.settings.id_token_signed_response_alg,
  };
  const fields = { audience: redirect_uri, lifetime: account.settings.redirect_id_token_lifetime, claims };
  const id_token = await issueIdToken(tokens, authorization, fields, now);
  const deed = { account_id, action: "auth.redirect", entity: client.id, now: instant(now) };
  await storage.write(async (tx) => {
    await checkAlive(tx.db, { account_id, client_id: client.id, grant_id: "", user_id: subject.id });
    await recordDeed(tx, { ...deed, actor });
  });
  return addToQuery(redirect_uri, [["id_token", id_token]]);
}

/** What lets a client know it (OpenID Connect Core §5.4). */
const SCOPE_OF = { email: "email", name: "profile" } as const;

async function subjectOf(
  directory: Oauth["directory"],
  bearer: Bearer,
  wanted: readonly ("name" | "email")[],
): Promise<UserSubject> {
  const { id, email, email_verified_at, name } = await findUser(directory, bearer.account_id, bearer.subject);
  const amr = bearer.amr ?? [];
  return {
    type: "user",
    id,
    ...(wanted.includes("email") && email ? { email, email_verified: email_verified_at !== null } : {}),
    ...(wanted.includes("name") && name ? { name } : {}),
    auth_time: bearer.auth_time ?? Math.floor(directory.storage.now() / 1000),
    amr,
    acr: acrOf(amr),
  };
}

/** @throws 400 invalid_request naming what the client may not say. */
function customClaims(given: Readonly<Record<string, string>>, allowed: readonly string[]): Record<string, string> {
  const foreign = Object.keys(given).filter((name) => !allowed.includes(name));
  const message = "is not among the client's custom_claims";
  if (foreign.length > 0)
    throw malformed(foreign.map((name) => ({ path: `custom_claims.${name}`, code: "unknown", message })));
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [`ext_${name}`, value]));
}
