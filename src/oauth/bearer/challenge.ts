/** What whoever is refused for a token learns, to come back with a better one: `WWW-Authenticate` of RFC 6750 §3. */
import type { FastifyRequest } from "fastify";
import { pathOf } from "../../directory/accounts/account.ts";
import { errorDescription, Refusal, refuse } from "../../errors.ts";
import { asymmetric_algs } from "../../secrets/public-key.ts";
import { userinfoAudience } from "../scopes.ts";

/** Without any credentials the challenge names no error. */
export function noToken(): Refusal {
  const headers = { "www-authenticate": 'Bearer realm="latchkey"' };
  return refuse("invalid_token", { message: "An access token is required: Authorization: Bearer …", headers });
}

/** A refusal for the token, with its challenge; any other error as it is. */
export function challengeOf<E extends Error>(error: E): E | Refusal {
  if (!(error instanceof Refusal)) return error;
  const { code, options, message } = error;
  if (code === "invalid_dpop_proof" || code === "use_dpop_nonce") {
    const said = `DPoP realm="latchkey", error="${code}"`;
    return refuse("invalid_token", { message, headers: { ...options.headers, "www-authenticate": said } });
  }
  if (code === "upstream_login_failed") {
    // The token may be good: nobody knows while its issuer does not answer.
    if (options.momentary) return refuse("temporarily_unavailable", { cause: error, retry_after: 1 });
    return challengeOf(refuse("invalid_token", { message: options.bare ?? message, cause: error }));
  }
  if (code !== "invalid_token") return error;
  const headers = {
    "www-authenticate": `Bearer realm="latchkey", error="invalid_token", error_description="${errorDescription(message)}"`,
  };
  return refuse("invalid_token", { ...options, headers });
}

/**
 * In the scheme in which the token came (RFC 9449 §7.1), at userinfo with where it is written who may give a better one: what
 * a challenge leads to is believed only where it is of the very address that was asked (RFC 9728 §3.3), and at the account
 * API tokens are for all addresses together.
 */
export function finishChallenge(public_url: string, said: string, request: FastifyRequest): string {
  const { headers, account_id, originalUrl } = request;
  const scheme = comesByProof(headers.authorization) ? "DPoP" : said.split(" ", 1)[0];
  const resource = userinfoAudience(public_url, account_id);
  const { origin } = new URL(public_url);
  const parts = [
    said.replace(/^\w+/, scheme ?? ""),
    ...(scheme === "DPoP" ? [`algs="${asymmetric_algs.join(" ")}"`] : []),
    ...(`${public_url}${originalUrl}` === resource
      ? [`resource_metadata="${origin}/.well-known/oauth-protected-resource${pathOf(resource)}"`]
      : []),
  ];
  return parts.join(", ");
}

/** Whether a token is shown as one that is bound to a key (RFC 9449 §7.1). */
export const comesByProof = (authorization: string | undefined) => /^DPoP /i.test(authorization ?? "");
