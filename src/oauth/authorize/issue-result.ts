import { noteSeenAt } from "../../directory/users/note-seen.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { accessTokenHash, issueAccessToken, issueIdToken } from "../../tokens/issue.ts";
import { mintAuthorizationCode } from "../authorization-code.ts";
import type { Caller } from "../caller.ts";
import type { Oauth } from "../oauth.ts";
import type { PermittedRequest } from "./authorize.ts";
import type { AuthorizationResult } from "./response.ts";

/** What the redirect will carry, by response_type. */
export async function issueResult(
  { tokens, directory }: Pick<Oauth, "tokens" | "directory">,
  { account, now }: Caller,
  { request, client, redirect_uri }: PermittedRequest,
  authorization: Authorization,
): Promise<AuthorizationResult> {
  const { response_type, nonce, scope } = request;
  const openid = scope === "openid";
  const lifetime = account.settings.redirect_id_token_lifetime;
  switch (response_type) {
    case "authenticate": {
      // The receiver of the redirect, not the client, is who this ID token is for.
      const id_token = await issueIdToken(tokens, authorization, { audience: redirect_uri, lifetime, nonce }, now);
      return { response_type, id_token };
    }
    case "token": {
      noteSeenAt(directory, client, authorization.subject.id);
      const { access_token, expires_in, scope: granted } = await issueAccessToken(tokens, authorization, now);
      const issued = { response_type, access_token, expires_in, scope: granted };
      if (!openid) return issued;
      const claims = { at_hash: accessTokenHash(access_token, authorization.id_token_alg) };
      const fields = { audience: client.client_id, lifetime, nonce, claims };
      return { ...issued, id_token: await issueIdToken(tokens, authorization, fields, now) };
    }
    case "code": {
      const { issuing: _issuing, ...rest } = authorization;
      const bound = { redirect_uri, redirect_uri_named: request.redirect_uri !== undefined };
      const content = { authorization: rest, ...bound, code_challenge: request.code_challenge, nonce, openid };
      return { response_type, code: mintAuthorizationCode(directory.master_keys, account.account_id, content, now) };
    }
    default:
      return response_type satisfies never;
  }
}
