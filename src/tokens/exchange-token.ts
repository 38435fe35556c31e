import { randomUUID } from "node:crypto";
import type { Secret } from "../secrets/secret.ts";
import type { Issuing } from "./authorization.ts";
import { parseJws, signJws, verifyJws } from "./jws.ts";
import { keyNamed, signingKey } from "./keys/find-key.ts";
import type { Tokens } from "./tokens.ts";

/**
 * An exchange token: a partner says that its client may ask a merchant for a token. It is no access token, and every route but
 * the merchant's token endpoint refuses it. Good for 15 minutes, once.
 */
export interface ExchangeToken {
  readonly jti: string;
  /** The partner client's uuid. */
  readonly client_uuid: string;
  /** What the client may get for it at most; undefined: whatever its grant gives. It holds no scope itself. */
  readonly within?: readonly string[] | undefined;
  /** Seconds since the epoch. */
  readonly expires_at: number;
}

export const EXCHANGE_LIFETIME = 900;
const TYPE = "exchange+jwt";

/** `now` in milliseconds. */
export async function signExchangeToken(
  tokens: Tokens,
  { account_id, issuer, access_token_alg }: Issuing,
  { client_uuid, within }: Pick<ExchangeToken, "client_uuid" | "within">,
  audience: string,
  now: number,
): Promise<Secret> {
  const iat = Math.floor(now / 1000);
  const times = { iat, exp: iat + EXCHANGE_LIFETIME };
  const claims = {
    iss: issuer,
    sub: client_uuid,
    aud: audience,
    ...times,
    jti: randomUUID(),
    within: within?.join(" "),
  };
  return signJws(await signingKey(tokens, account_id, access_token_alg, now), TYPE, claims);
}

/** @returns undefined when it is no exchange token of that partner for this audience, or too late. */
export async function readExchangeToken(
  tokens: Tokens,
  { account_id, issuer }: Pick<Issuing, "account_id" | "issuer">,
  audience: string,
  token: string,
  now: number,
): Promise<ExchangeToken | undefined> {
  const jws = parseJws(token);
  if (!jws || jws.header.typ !== TYPE) return undefined;
  const { iss, sub, aud, exp, jti, within } = jws.claims;
  if (iss !== issuer || aud !== audience || typeof sub !== "string" || typeof jti !== "string") return undefined;
  if (typeof exp !== "number" || exp * 1000 <= now) return undefined;
  const key = await keyNamed(tokens, account_id, jws.header.kid);
  if (!key || !verifyJws(key.public_key, key.alg, jws)) return undefined;
  const limit = typeof within === "string" ? { within: within.split(" ").filter(Boolean) } : {};
  return { jti, client_uuid: sub, expires_at: exp, ...limit };
}
