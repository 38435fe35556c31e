/**
 * Refresh tokens: one family for each login, whose token is another one after each use, save where its client is set to
 * keep it. A token is `base64url(family ‖ generation ‖ HMAC)`: a forged one costs no query. The successor is derived, so
 * that an answer that was lost can be given once more; any other second use is theft and ends the family with its access
 * tokens (RFC 9700 §4.14.2).
 *
 * In: an authorization that may last; later, each of its tokens once. Out: the authorization again, as grant and person are by
 * then. A family ends when it lies idle, when its time is over, and with its client, grant or user.
 */
import { type Client, isPublic } from "../../directory/clients/client.ts";
import type { Surface } from "../../http/contract.ts";
import { base64url, hex, hmac, sameBytes, sha256 } from "../../secrets/digest.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { uuidOf } from "../../secrets/uuid.ts";
import type { Instant } from "../../storage/storage.ts";

/** Where people's logins begin: at auth/token and its neighbours, or at oauth/token. */
export type LoginSurface = Exclude<Surface, "system">;

export interface Family {
  readonly account_id: string;
  /** Also the authorization that all its tokens carry as `sid`; a uuid. */
  readonly id: string;
  /** The uuid of the client whose login it is, and whose tokens it gives. */
  readonly client_id: string;
  /** The uuid of the client that may use its refresh tokens; null where that is the same. */
  readonly holder_id: string | null;
  readonly user_id: string;
  readonly grant_id: string;
  readonly audience: string;
  readonly scope: readonly string[];
  /** Milliseconds since the epoch. */
  readonly auth_time: number;
  readonly amr: readonly string[];
  /** Of its newest token. */
  readonly generation: number;
  readonly key_version: string;
  /** Single claims that userinfo tells. */
  readonly userinfo_claims: readonly string[];
  /** Thumbprint of the DPoP key that its tokens are bound to (RFC 9449 §5). */
  readonly dpop_jkt: string | null;
  /**
   * What its ID tokens name as `sid`: the browser session that it came from, or `id` where there was none. Null where
   * no ID token came of it, and where a version before began it.
   */
  readonly session_id: string | null;
  /**
   * Where the login began: `device` at oauth/token too, by a device that somebody let in. Null where a version before
   * did not note it.
   */
  readonly surface: LoginSurface | "device" | null;
  /** Issuer of the other server that vouched for the person; null also where a version before did not note it. */
  readonly provider: string | null;
  /** When the login began: before the family did, where it came out of a code. */
  readonly created_at: Instant;
  readonly rotated_at: Instant | null;
  readonly grace_used: number;
  readonly idle_expires_at: Instant;
  readonly expires_at: Instant;
  readonly revoked_at: Instant | null;
}

/** What the next access token of a login is made of. */
export type Login = Pick<
  Family,
  | "id"
  | "client_id"
  | "user_id"
  | "grant_id"
  | "audience"
  | "scope"
  | "auth_time"
  | "amr"
  | "userinfo_claims"
  | "session_id"
  | "surface"
  | "created_at"
  | "provider"
>;

/** The uuid of the client that a family's refresh tokens are bound to (RFC 6749 §6). */
export const holderOf = ({ client_id, holder_id }: Pick<Family, "client_id" | "holder_id">): string =>
  holder_id ?? client_id;

/**
 * Where a login began of which a version before did not note it: holders of others' logins came by the account API, which
 * gives no ID tokens beside refresh tokens, no `offline_access` and no tokens bound to keys: one of these came with every
 * login at oauth/token, but at clients that need none of them, of which it cannot be told. `gives`: the scopes of its
 * grant, which pass whole at other APIs, an `offline_access` among them too.
 */
export function surfaceOf({ holder_id, session_id, dpop_jkt, scope }: Family, gives: readonly string[]): LoginSurface {
  if (holder_id !== null) return "account";
  const marked =
    session_id !== null || dpop_jkt !== null || (scope.includes("offline_access") && !gives.includes("offline_access"));
  return marked ? "oauth" : "account";
}

/**
 * The key that a client's refresh token is bound to, of the one that it shows (RFC 9449 §5): clients that are not public
 * show who they are at each use.
 */
export const boundTo = ({ settings }: Client, dpop_jkt: string | null = null): string | null =>
  isPublic(settings) ? dpop_jkt : null;

export interface ReadToken {
  readonly family_id: string;
  readonly generation: number;
  readonly key_version: string;
  readonly digest: string;
}

const FAMILY = 16;
const GENERATION = 4;
const MAC = 32;

export function refreshToken(
  keys: MasterKeys,
  { account_id, id, generation, key_version }: Pick<Family, "account_id" | "id" | "generation" | "key_version">,
): Secret {
  const name = nameOf(id, generation);
  return secret(base64url(Buffer.concat([name, macOf(keys, key_version, account_id, name)])));
}

/** @returns undefined when nobody here made it. */
export function readRefreshToken(keys: MasterKeys, account_id: string, token: Secret): ReadToken | undefined {
  const text = reveal(token);
  if (!/^[A-Za-z0-9_-]{70}$/.test(text)) return undefined;
  const bytes = Buffer.from(text, "base64url");
  if (bytes.length !== FAMILY + GENERATION + MAC || base64url(bytes) !== text) return undefined;
  const name = bytes.subarray(0, FAMILY + GENERATION);
  const mac = bytes.subarray(FAMILY + GENERATION);
  const key_version = keys.versions.find((version) => sameBytes(macOf(keys, version, account_id, name), mac));
  if (key_version === undefined) return undefined;
  const family_id = uuidOf(bytes.subarray(0, FAMILY).toString("hex"));
  return { family_id, generation: bytes.readUInt32BE(FAMILY), key_version, digest: digestOf(token) };
}

/** In hexadecimal. */
export const digestOf = (token: Secret): string => hex(sha256(reveal(token)));

function nameOf(id: string, generation: number): Buffer {
  const name = Buffer.alloc(FAMILY + GENERATION);
  name.write(id.replaceAll("-", ""), "hex");
  name.writeUInt32BE(generation, FAMILY);
  return name;
}

function macOf(keys: MasterKeys, version: string, account_id: string, name: Uint8Array): Uint8Array {
  return hmac(keys.derive(version, account_id, "refresh"), "latchkey/refresh/v1", name);
}
