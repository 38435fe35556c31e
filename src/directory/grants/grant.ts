/**
 * Grants: which audience a client may ask for, with which scopes, by which kind of flow. A grant names its audience as an
 * opaque string; the account API's own names are aliases of one audience.
 */
export type GrantType = "any" | "authorization_code" | "client_credentials" | "password";

export interface Grant {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  /** The client's uuid. */
  readonly client_id: string;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly type: GrantType;
  readonly oidc: { readonly client_id: string; readonly authority: string } | null;
  readonly created_at: string;
  readonly created_by: string | null;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly deleted_by: string | null;
}
