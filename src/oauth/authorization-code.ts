/**
 * Authorization codes of RFC 6749 §4.1: what `auth/authorize` hands out with `response_type=code` and `oauth/token` redeems.
 * A code is its own record, sealed under the account's key (AES-256-GCM), so making one writes nothing; redeeming one writes
 * a single row that says so, in the statement that also checks that client, grant and user live.
 *
 * In: an authorization and what it is bound to. Out: the code; later, once, the authorization again.
 */
import { deflateRawSync, inflateRawSync } from "node:zlib";
import { refuse } from "../errors.ts";
import type { MasterKeys } from "../secrets/master-keys.ts";
import type { Secret } from "../secrets/secret.ts";
import { openTicket, sealTicket } from "../secrets/ticket.ts";
import type { Authorization } from "../tokens/authorization.ts";

export interface AuthorizationCode {
  /** That of its authorization, which has one code: so whoever knows that one can ask whether it was redeemed. */
  readonly id: string;
  readonly authorization: Omit<Authorization, "issuing">;
  readonly redirect_uri: string;
  /** Whether the authorization request named it: then the token request must too (RFC 6749 §4.1.3). */
  readonly redirect_uri_named: boolean;
  readonly code_challenge?: string | undefined;
  readonly nonce?: string | undefined;
  /** Single claims for the ID token. */
  readonly claims?: Readonly<Record<string, unknown>> | undefined;
  /** The class that the ID token names where its client asked for certain ones (OpenID Connect Core §5.5.1.1). */
  readonly acr?: string | undefined;
  /** scope=openid was asked for. */
  readonly openid: boolean;
  /** A login that lasts was asked for; as in Target. */
  readonly lasting?: boolean | undefined;
  /** The browser session that it came from; `sid` of the ID token. */
  readonly session_id?: string | undefined;
  /** Issuer of the other server that vouched for the person. */
  readonly provider?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly expires_at: number;
}

/** Milliseconds. */
export const CODE_LIFETIME = 60_000;

const kindOf = (account_id: string, version: "v1" | "v2") =>
  ({ account_id, purpose: "authorization-code", kind: `authorization_code/${version}` }) as const;

/**
 * Characters of scopes from which on they are packed, so that the address of a callback is one that any server takes: fewer
 * make a code of at most 5,700, which leaves 2,400 for everything else.
 */
const MANY = 3_000;

/**
 * Scopes alone are packed: beside what a stranger chose, what only the person knows could be told by how long it gets. Of
 * another kind, so that a version which knows none takes it for no code.
 */
interface Packed extends Omit<AuthorizationCode, "authorization"> {
  readonly authorization: Omit<AuthorizationCode["authorization"], "scope">;
  readonly packed_scope: string;
}

type Content = Omit<AuthorizationCode, "id" | "expires_at">;

/** What a code stands for, before there is one. `now` and `lifetime` in milliseconds. */
export const newAuthorizationCode = (content: Content, now: number, lifetime: number): AuthorizationCode => ({
  ...content,
  authorization: { ...content.authorization, began_at: now },
  id: content.authorization.sid,
  expires_at: now + lifetime,
});

export function sealAuthorizationCode(keys: MasterKeys, account_id: string, code: AuthorizationCode): Secret {
  const { scope, ...authorization } = code.authorization;
  const text = scope.join(" ");
  if (text.length < MANY) return sealTicket(keys, kindOf(account_id, "v1"), code);
  const packed: Packed = {
    ...code,
    authorization,
    packed_scope: deflateRawSync(text, { level: 1 }).toString("base64url"),
  };
  return sealTicket(keys, kindOf(account_id, "v2"), packed);
}

function openPacked(keys: MasterKeys, account_id: string, code: Secret): AuthorizationCode | undefined {
  const packed = openTicket<Packed>(keys, kindOf(account_id, "v2"), code);
  if (!packed) return undefined;
  const { packed_scope, authorization, ...content } = packed;
  const scope = inflateRawSync(Buffer.from(packed_scope, "base64url")).toString().split(" ");
  return { ...content, authorization: { ...authorization, scope } };
}

/** `now` in milliseconds. */
export const mintAuthorizationCode = (keys: MasterKeys, account_id: string, content: Content, now: number): Secret =>
  sealAuthorizationCode(keys, account_id, newAuthorizationCode(content, now, CODE_LIFETIME));

/** @throws 400 invalid_grant when it is not one of this account's; says nothing about whether it was redeemed. */
export function readAuthorizationCode(keys: MasterKeys, account_id: string, code: Secret): AuthorizationCode {
  const unpacked = openTicket<AuthorizationCode>(keys, kindOf(account_id, "v1"), code);
  const content = unpacked ?? openPacked(keys, account_id, code);
  if (!content) throw refuse("invalid_grant", { message: "The authorization code is not valid." });
  return content;
}
