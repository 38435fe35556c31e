/**
 * Clients: the applications that may ask for codes and tokens, with the callbacks they registered and their settings.
 * A client has a uuid (`id`) that never changes hands and a `client_id` that is taken for ever within its account.
 *
 * In: a `client_id` in either form. Out: a live `Client`, or a refusal.
 */
import type { SigningAlg } from "../../secrets/signing-alg.ts";

export type ResponseType = "authenticate" | "token" | "code";
export type UserType = "customer" | "company" | "account_user";
export type CodeFormat = "typable" | "numeric";

export interface ClientSettings {
  readonly callbacks: readonly string[];
  readonly response_types: readonly ResponseType[];
  readonly code_format: CodeFormat;
  readonly signup: boolean;
  readonly login_uri: string | null;
  readonly user_type: UserType;
  readonly called_from: "server" | "browser";
  readonly default_audience: string | null;
  readonly require_pkce: boolean | null;
  readonly token_endpoint_auth_method: "client_secret_basic" | "client_secret_post" | "private_key_jwt" | "none";
  readonly grant_types: readonly string[];
  readonly first_party: boolean;
  readonly custom_claims: readonly string[];
  readonly allowed_origins: readonly string[];
  readonly id_token_signed_response_alg: SigningAlg;
  /** Names of the connections it may use; null means every connection of the account. */
  readonly connections: readonly string[] | null;
}

export interface Client {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  readonly client_id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly settings: ClientSettings;
  readonly created_at: string;
  readonly created_by: string | null;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly deleted_by: string | null;
}
