/**
 * `GET` and `POST oauth/userinfo`: what a person agreed to tell the client that holds their token (OpenID Connect Core §5.3).
 *
 * In: the account and the token, with a proof of its key where it is bound to one. Out: claims, or a JWT where the client
 * wants them signed.
 */
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { signJws } from "../../tokens/jws.ts";
import { signingKey } from "../../tokens/keys/find-key.ts";
import { challengeOf } from "../bearer/challenge.ts";
import { findToken } from "../bearer/find-token.ts";
import type { Presented } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { claimsAbout, claimsOfScopes } from "./claims-about.ts";

export interface Told {
  readonly claims: Readonly<Record<string, unknown>>;
  /** The same, signed, for a client that wants it so. */
  readonly jwt?: Secret;
}

/** @throws 401 invalid_token, also when the person is gone; 403 insufficient_scope. */
export async function tellAbout(oauth: Oauth, account_id: string, presented: Presented): Promise<Told> {
  const { tokens, directory } = oauth;
  const token = await findToken(oauth, account_id, presented);
  if (token.subject_type !== "user" || !token.scope.includes("openid")) {
    throw refuse("insufficient_scope", {
      message: "userinfo takes a person's token with the scope openid.",
      scopes: ["openid"],
    });
  }
  const user = await lookUpUser(directory, account_id, token.subject);
  if (!user) throw challengeOf(refuse("invalid_token"));
  const client = await lookUpClient(directory, account_id, token.client_uuid);
  const names = [...claimsOfScopes(token.scope), ...(token.userinfo_claims ?? [])];
  const claims = { sub: token.pairwise_subject ?? user.id, ...claimsAbout(user, names) };
  const alg = client?.settings.userinfo_signed_response_alg ?? null;
  if (alg === null) return { claims };
  const key = await signingKey(tokens, account_id, alg, directory.storage.now());
  return { claims, jwt: await signJws(key, "JWT", { iss: token.issuer, aud: token.client_id, ...claims }) };
}
