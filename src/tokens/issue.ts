import { hash, randomUUID } from "node:crypto";
import { reveal, type Secret } from "../secrets/secret.ts";
import type { SigningAlg } from "../secrets/signing-alg.ts";
import { uuidv7 } from "../secrets/uuid.ts";
import type { Authorization } from "./authorization.ts";
import { signJws } from "./jws.ts";
import { signingKey } from "./keys/find-key.ts";
import { subjectIn } from "./pairwise.ts";
import type { Tokens } from "./tokens.ts";

export interface IssuedAccessToken {
  readonly access_token: Secret;
  /** DPoP for a token that is bound to a key (RFC 9449 §5). */
  readonly token_type: "Bearer" | "DPoP";
  /** Seconds. */
  readonly expires_in: number;
  /** RFC 6749 §3.3 */
  readonly scope: string;
}

/**
 * An access token of RFC 9068 §2.2. Nothing is stored: `sid` is the id of what was redeemed, and the time in `jti` is when that
 * began, finer than `iat` can say it. `now` in milliseconds.
 */
export async function issueAccessToken(
  tokens: Tokens,
  authorization: Authorization,
  now: number,
): Promise<IssuedAccessToken> {
  const {
    issuing,
    subject,
    by_device,
    sid,
    client_id,
    client_uuid,
    grant_id,
    holds,
    audience,
    dpop_jkt,
    userinfo_claims,
    sector,
  } = authorization;
  const { account_id, issuer, access_token_alg } = issuing;
  const lifetime = Math.min(issuing.access_token_lifetime, authorization.lifetime ?? Number.POSITIVE_INFINITY);
  const scope = authorization.scope.join(" ");
  const iat = Math.floor(now / 1000);
  const person = subject.type === "user" ? subject : undefined;
  // JSON leaves out what is undefined.
  const claims = {
    iss: issuer,
    sub: await subOf(tokens, authorization),
    aud: audience,
    exp: iat + lifetime,
    iat,
    jti: uuidv7(authorization.began_at ?? now),
    sid,
    client_id,
    client_uuid,
    scope,
    oid: account_id,
    subject_type: subject.type,
    grant_id: grant_id || undefined,
    auth_time: person?.auth_time,
    amr: person?.amr,
    acr: person?.acr,
    by_device,
    holds: holds?.length ? holds : undefined,
    act: authorization.act,
    sector: person && sector,
    userinfo_claims: userinfo_claims?.length ? userinfo_claims : undefined,
    cnf: dpop_jkt === undefined ? undefined : { jkt: dpop_jkt },
  };
  const key = await signingKey(tokens, account_id, access_token_alg, now);
  const access_token = await signJws(key, "at+jwt", claims);
  return { access_token, token_type: dpop_jkt === undefined ? "Bearer" : "DPoP", expires_in: lifetime, scope };
}

/** Who somebody is to this client. */
async function subOf(
  tokens: Tokens,
  { issuing, subject, sector }: Pick<Authorization, "issuing" | "subject" | "sector">,
): Promise<string> {
  return subject.type === "client" ? subject.id : subjectIn(tokens, issuing.account_id, sector, subject.id);
}

export interface IdTokenFields {
  readonly audience: string;
  /** Seconds. */
  readonly lifetime: number;
  readonly nonce?: string | undefined;
  /** A class that the login reached, in place of its highest. */
  readonly acr?: string | undefined;
  /** Further claims. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
}

/** `at_hash` (OpenID Connect Core §3.2.2.9): the left half of the hash that the ID token's algorithm is made with. */
export function accessTokenHash(access_token: Secret, id_token_alg: SigningAlg): string {
  const digest = hash(id_token_alg === "EdDSA" ? "sha512" : "sha256", reveal(access_token), "buffer");
  return digest.subarray(0, digest.length / 2).toString("base64url");
}

/** … of a login whose session in a browser need not be known: `sid`. */
type Spoken = Omit<Authorization, "sid"> & { readonly sid: string | undefined };

/** An ID token of OpenID Connect Core §2 for a person. @throws when the subject is a client. */
export async function issueIdToken(
  tokens: Tokens,
  authorization: Spoken,
  { audience, lifetime, nonce, acr: named_acr, claims: further }: IdTokenFields,
  now: number,
): Promise<Secret> {
  const { issuing, subject, sid, client_id, id_token_alg } = authorization;
  if (subject.type !== "user") throw new Error("an ID token speaks about a person");
  const { email, email_verified, name, phone_number, auth_time, amr, acr } = subject;
  const iat = Math.floor(now / 1000);
  const claims = {
    ...further,
    iss: issuing.issuer,
    sub: await subOf(tokens, authorization),
    aud: audience,
    azp: client_id,
    exp: iat + lifetime,
    iat,
    jti: randomUUID(),
    sid,
    auth_time,
    amr,
    acr: named_acr ?? acr,
    ...(nonce === undefined ? {} : { nonce }),
    ...(email === undefined ? {} : { email, email_verified: email_verified === true }),
    ...(name === undefined ? {} : { name }),
    ...(phone_number === undefined ? {} : { phone_number }),
  };
  const key = await signingKey(tokens, issuing.account_id, id_token_alg, now);
  return signJws(key, "JWT", claims);
}
