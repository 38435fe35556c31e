/**
 * The narrow waist: every way of proving who one is ends in one `Authorization`, and only this wing turns it into signed
 * tokens (RFC 9068 access tokens, OpenID Connect ID tokens). It does not know who proved what, or how.
 *
 * Settings that shape tokens travel inside, so that no room below has to ask the directory.
 */
import type { SigningAlg } from "../secrets/signing-alg.ts";

/** How an account signs. Lifetimes in seconds. */
export interface Issuing {
  readonly account_id: string;
  /** `{PUBLIC_URL}/v1/accounts/{oid}` */
  readonly issuer: string;
  readonly access_token_alg: SigningAlg;
  readonly access_token_lifetime: number;
}

export interface ClientSubject {
  readonly type: "client";
  /** The client's uuid. */
  readonly id: string;
}

export interface UserSubject {
  readonly type: "user";
  /** The user's uuid. */
  readonly id: string;
  readonly email?: string | undefined;
  readonly email_verified?: boolean | undefined;
  readonly name?: string | undefined;
  readonly phone_number?: string | undefined;
  /** Seconds since the epoch. */
  readonly auth_time: number;
  /** RFC 8176 */
  readonly amr: readonly string[];
  readonly acr: string;
}

export interface Actor {
  readonly iss: string;
  readonly sub: string;
  readonly account_id?: string;
  readonly act?: unknown;
}

export interface Authorization {
  readonly issuing: Issuing;
  /** One id for everything that this proof led to; naming it revokes all of it. */
  readonly sid: string;
  /** When that was, where it was not just now; milliseconds since the epoch. */
  readonly began_at?: number | undefined;
  readonly subject: ClientSubject | UserSubject;
  /** A person let a device in (RFC 8628), which may be anybody's. */
  readonly by_device?: true | undefined;
  /** The client's registered client_id. */
  readonly client_id: string;
  readonly client_uuid: string;
  readonly grant_id?: string;
  /**
   * What else can be revoked and ends what comes of this: what the person holds at the account API, whatever the token
   * that this was exchanged for hung on.
   */
  readonly holds?: readonly string[];
  readonly audience: string;
  readonly scope: readonly string[];
  readonly id_token_alg: SigningAlg;
  /** Who acts for the subject (RFC 8693 §4.1); a partner with its account. */
  readonly act?: Actor;
  /** Single claims that userinfo tells beside those of the scopes. */
  readonly userinfo_claims?: readonly string[] | undefined;
  /** Makes `sub` pairwise: the sector that it is for (OpenID Connect Core §8.1). */
  readonly sector?: string | undefined;
  /** Thumbprint of the DPoP key that tokens are bound to (RFC 9449 §6). */
  readonly dpop_jkt?: string | undefined;
  /** Seconds, where it is less than the account's. */
  readonly lifetime?: number;
}
