import type { JWTHeaderParameters, JWTPayload } from "jose";
import { type Documents, upstreamFailed, withKeysAt } from "../../egress/documents.ts";
import { UNFIT } from "../../http/json.ts";
import { isBadJwt } from "../../secrets/bad-jwt.ts";
import { usableOf } from "../../secrets/public-key.ts";

export interface ExpectedIdToken {
  readonly issuer: string;
  readonly audience: readonly string[];
  /** Those of them that mean us whichever client the token was issued to; none where we are the client. */
  readonly by_any_client?: readonly string[] | undefined;
  readonly jwks_uri: string;
  readonly nonce?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** Asymmetric alone: a shared secret proves nothing about who signed. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519",
];
const SKEW = 30;
/** Characters (OpenID Connect Core §2). */
const LONGEST_SUB = 255;

/**
 * Checks an ID token as OpenID Connect Core §3.1.3.7 says.
 *
 * @throws 400 upstream_login_failed, whose message says what is wrong with it.
 */
export async function verifyIdToken(
  documents: Documents,
  id_token: string,
  { issuer, audience, by_any_client, jwks_uri, nonce, now }: ExpectedIdToken,
  signal: AbortSignal,
): Promise<JWTPayload> {
  const { createLocalJWKSet, errors, jwtVerify } = await import("jose");
  const times = { clockTolerance: SKEW, currentDate: new Date(now) };
  const rules = { issuer, audience: [...audience], algorithms, requiredClaims: ["exp", "iat", "sub"], ...times };
  try {
    return await withKeysAt(documents, jwks_uri, signal, async (document) => {
      if (!Array.isArray(document.keys)) throw upstreamFailed("The provider's JWKS has no keys");
      const keys = createLocalJWKSet(usableOf(document));
      const { payload, protectedHeader } = await jwtVerify(id_token, keys, rules);
      check(payload, { audience, by_any_client, nonce });
      // A bearer access token goes to every API that it is for, each of which could log in by it. Where we are the
      // client the provider itself handed it to us.
      if (by_any_client && isAccessToken(protectedHeader, payload))
        throw upstreamFailed("This is an access token, not an ID token");
      return payload;
    });
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) throw upstreamFailed("The ID token is signed by an unknown key");
    if (!isBadJwt(error)) throw error;
    const { message, claim } = error as Error & { claim?: string };
    const detail = claim === undefined ? "The ID token is refused" : `The ID token is refused for its ${claim}`;
    throw upstreamFailed(`The ID token is refused: ${message}`, error, detail);
  }
}

/** What a client may do, and which: claims of access tokens, as RFC 9068 §2.2, Entra ID and Okta call them. */
const OF_ACCESS = ["scope", "scp", "client_id", "appid", "cid"];
/** What an ID token answers, and came beside (OpenID Connect Core §2, §3.3.2.11). */
const OF_LOGIN = ["nonce", "at_hash", "c_hash"];

/**
 * By its header, as RFC 9068 §2.1 has it; as Keycloak's say among their claims; or by what most hold. ID tokens of
 * FusionAuth, AD FS and ZITADEL hold some of that as well, beside what no such access token has.
 */
function isAccessToken(header: JWTHeaderParameters, claims: JWTPayload): boolean {
  const holds = (names: readonly string[]) => names.some((name) => claims[name] !== undefined);
  if (/^(application\/)?at\+jwt$/i.test(header.typ ?? "") || claims.typ === "Bearer") return true;
  return holds(OF_ACCESS) && !holds(OF_LOGIN);
}

function check(
  { sub, aud, azp, nonce }: JWTPayload,
  { audience, by_any_client = [], nonce: expected }: Pick<ExpectedIdToken, "audience" | "by_any_client" | "nonce">,
): void {
  if (typeof sub !== "string" || sub === "" || sub.length > LONGEST_SUB || UNFIT.test(sub)) {
    throw upstreamFailed("The ID token has no usable sub");
  }
  const named = [aud ?? []].flat();
  const issued_to_another = (named.length > 1 || azp !== undefined) && !audience.includes(azp as string);
  if (issued_to_another && !named.some((name) => by_any_client.includes(name))) {
    throw upstreamFailed("The ID token was made for another client (azp)");
  }
  if (expected !== undefined && nonce !== expected) throw upstreamFailed("The ID token has another nonce");
}
