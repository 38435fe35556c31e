/**
 * Grants: which audience a client may ask for, with which scopes, by which kind of flow. A grant names its audience as an
 * opaque string; the account API's own names are aliases of one audience.
 */
export type GrantType = "any" | "authorization_code" | "client_credentials" | "password";

/** An external OpenID provider that may log the client's people in. */
export interface GrantOidc {
  readonly client_id: string;
  /** Its issuer. */
  readonly authority: string;
  /** Domains of the addresses that it is trusted with; a first login joins an existing user only there. */
  readonly trusted_domains?: string[];
}

export interface Grant {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  /** The client's uuid. */
  readonly client_id: string;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly type: GrantType;
  readonly oidc: GrantOidc | null;
  readonly created_at: string;
  readonly created_by: string | null;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly deleted_by: string | null;
}
