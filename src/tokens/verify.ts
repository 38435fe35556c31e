import { type Refusal, refuse } from "../errors.ts";
import { sha256Text } from "../secrets/digest.ts";
import { timeOf } from "../secrets/uuid.ts";
import { type ParsedJws, parseJws, verifyJws } from "./jws.ts";
import { keysOf, reloadKeys, signing } from "./keys/find-key.ts";
import type { SigningKey } from "./keys/key.ts";
import { userOfPairwise } from "./pairwise.ts";
import type { Tokens } from "./tokens.ts";

/** An access token that this account signed, with everything it says. */
export interface AccessToken {
  readonly account_id: string;
  readonly issuer: string;
  readonly kid: string;
  readonly audience: string;
  readonly subject_type: "client" | "user";
  readonly subject: string;
  readonly client_id: string;
  readonly client_uuid: string;
  readonly scope: readonly string[];
  readonly sid: string;
  /** Of this one token. */
  readonly jti?: string | undefined;
  readonly grant_id?: string | undefined;
  /** Seconds since the epoch. */
  readonly expires_at: number;
  readonly issued_at: number;
  /** When the login began that it comes of, as exactly as it says; milliseconds since the epoch. */
  readonly began_at: number;
  readonly auth_time?: number | undefined;
  readonly amr?: readonly string[] | undefined;
  /** Class of the login (OpenID Connect Core §2). */
  readonly acr?: string | undefined;
  /** Of a login by a device that somebody let in (RFC 8628), which may be anybody's. */
  readonly by_device?: true | undefined;
  readonly holds?: readonly string[] | undefined;
  /** Whose client acts here: revocations of that account count too. */
  readonly partner_account?: string | undefined;
  /** RFC 8693 §4.1 */
  readonly act?: object | undefined;
  /** `sub` as the client sees it, where it is pairwise. */
  readonly pairwise_subject?: string | undefined;
  readonly userinfo_claims?: readonly string[] | undefined;
  readonly sector?: string | undefined;
  /** Thumbprint of the key that it is bound to (RFC 9449 §6.1). */
  readonly jkt?: string | undefined;
}

const SKEW = 30;

/**
 * Checks an access token as RFC 9068 §4 says: `typ`, signature under one of the account's own keys, issuer and time. The
 * audience and revocation are the caller's to check. A signature is checked once; after that the token is known by its
 * digest for as long as its key is trusted. `now` in milliseconds.
 *
 * @throws 401 invalid_token.
 */
export async function verifyAccessToken(
  tokens: Tokens,
  account_id: string,
  issuer: string,
  token: string,
  now: number,
): Promise<AccessToken> {
  const name = `${account_id} ${sha256Text(token)}`;
  let keys = await keysOf(tokens, account_id);
  let known = tokens.verified.get(name);
  if (!known) {
    const jws = parse(token);
    if (!keys.some(({ kid }) => kid === jws.header.kid)) keys = await reloadKeys(tokens, account_id);
    known = await withUser(tokens, read(account_id, issuer, jws, keys));
  }
  const { kid } = known;
  const key = keys.find((one) => one.kid === kid);
  if (!key || !trusted(key, keys, now)) throw invalid("its key is not trusted");
  const seconds = now / 1000;
  if (known.expires_at <= seconds) {
    tokens.verified.delete(name);
    throw invalid("expired");
  }
  if (known.issued_at > seconds + SKEW) throw invalid("issued in the future");
  if (!tokens.verified.has(name)) tokens.verified.set(name, known, token.length);
  return known;
}

/** Whom a pairwise `sub` stands for. */
async function withUser(tokens: Tokens, token: AccessToken): Promise<AccessToken> {
  if (token.sector === undefined) return token;
  const subject = await userOfPairwise(tokens, token.account_id, token.sector, token.subject);
  if (subject === undefined) throw invalid("its sub is not ours");
  return { ...token, subject, pairwise_subject: token.subject };
}

function parse(token: string): ParsedJws {
  const jws = parseJws(token);
  if (!jws) throw invalid("not a compact JWS of ours");
  if (!/^(application\/)?at\+jwt$/i.test(jws.header.typ)) throw invalid("not an access token");
  return jws;
}

function read(account_id: string, issuer: string, jws: ParsedJws, keys: readonly SigningKey[]): AccessToken {
  const key = keys.find(({ kid }) => kid === jws.header.kid);
  if (!key) throw invalid("signed by an unknown key");
  if (!verifyJws(key.public_key, key.alg, jws)) throw invalid("the signature is wrong");
  return readClaims(account_id, issuer, key.kid, jws);
}

function readClaims(account_id: string, issuer: string, kid: string, { claims }: ParsedJws): AccessToken {
  const {
    iss,
    oid,
    aud,
    sub,
    subject_type,
    client_id,
    client_uuid,
    scope,
    sid,
    grant_id,
    exp,
    iat,
    jti,
    auth_time,
    amr,
    acr,
    by_device,
    holds,
    act,
    cnf,
    sector,
    userinfo_claims,
  } = claims;
  if (iss !== issuer || oid !== account_id) throw invalid("of another issuer");
  const texts = [aud, sub, client_id, client_uuid, scope, sid];
  if (!texts.every((text) => typeof text === "string") || typeof exp !== "number" || typeof iat !== "number") {
    throw invalid("a claim is missing");
  }
  if (subject_type !== "client" && subject_type !== "user") throw invalid("unknown subject_type");
  return {
    account_id,
    issuer,
    kid,
    audience: String(aud),
    subject_type,
    subject: String(sub),
    client_id: String(client_id),
    client_uuid: String(client_uuid),
    scope: String(scope).split(" ").filter(Boolean),
    sid: String(sid),
    expires_at: exp,
    issued_at: iat,
    began_at: (typeof jti === "string" ? timeOf(jti) : undefined) ?? iat * 1000,
    ...(typeof grant_id === "string" ? { grant_id } : {}),
    ...(typeof auth_time === "number" ? { auth_time } : {}),
    ...(typeof jti === "string" ? { jti } : {}),
    ...(Array.isArray(amr) ? { amr: amr.map(String) } : {}),
    ...(typeof acr === "string" ? { acr } : {}),
    ...(by_device === true ? { by_device } : {}),
    ...actorOf(act),
    ...keyOf(cnf),
    ...(typeof sector === "string" ? { sector } : {}),
    ...(Array.isArray(userinfo_claims) ? { userinfo_claims: userinfo_claims.map(String) } : {}),
    ...(Array.isArray(holds) ? { holds: holds.map(String) } : {}),
  };
}

function keyOf(cnf: unknown): Pick<AccessToken, "jkt"> {
  const { jkt } = (typeof cnf === "object" && cnf !== null ? cnf : {}) as { jkt?: unknown };
  return typeof jkt === "string" ? { jkt } : {};
}

function actorOf(act: unknown): Pick<AccessToken, "partner_account" | "act"> {
  if (typeof act !== "object" || act === null) return {};
  const partner_account = partnerIn(act);
  return { act, ...(partner_account === undefined ? {} : { partner_account }) };
}

/** Also behind those whom a partner's token was exchanged for (RFC 8693 §4.1). */
function partnerIn(actor: unknown): string | undefined {
  if (typeof actor !== "object" || actor === null) return undefined;
  const { account_id, act } = actor as { account_id?: unknown; act?: unknown };
  return typeof account_id === "string" ? account_id : partnerIn(act);
}

/** Not before it is active, unless it signs all the same: nobody could have signed with it honestly. */
function trusted(key: SigningKey, keys: readonly SigningKey[], now: number): boolean {
  const active = key.active_at <= now + SKEW * 1000 || signing(keys, key.alg, now) === key;
  return active && key.expires_at > now;
}

/** What a revocation can name to end this token. */
export function subjectsOf(token: AccessToken): readonly string[] {
  const { sid, subject_type, subject } = token;
  return [`sid:${sid}`, ...(subject_type === "user" ? [`user:${subject}`] : []), ...restsOn(token)];
}

/** … beside the login and the person, which are those of every token that this one is exchanged for. */
export function restsOn({ client_uuid, grant_id, holds = [] }: AccessToken): readonly string[] {
  return [`${CLIENT}${client_uuid}`, ...(grant_id === undefined ? [] : [`grant:${grant_id}`]), ...holds];
}

const CLIENT = "client:";

/** The uuids of the clients to which it was given, and what it was exchanged for. */
export const clientsOf = (token: AccessToken): readonly string[] =>
  restsOn(token).flatMap((named) => (named.startsWith(CLIENT) ? [named.slice(CLIENT.length)] : []));

/** An exchange by its id, as something that can be revoked. */
export const exchangeSubjectOf = (id: string) => `exchange:${id}`;

/** What this token was issued with: the exchange that it came from, where it came from one (RFC 8693), or else the login. */
export function issuedWith({ sid, holds = [] }: AccessToken): string {
  return holds.find((held) => held.startsWith(exchangeSubjectOf(""))) ?? `sid:${sid}`;
}

function invalid(detail: string): Refusal {
  return refuse("invalid_token", { detail });
}
