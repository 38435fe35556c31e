/**
 * Clients: the applications that may ask for codes and tokens, with the callbacks they registered and their settings.
 * A client has a uuid (`id`) that never changes hands and a `client_id` that is taken for ever within its account.
 *
 * In: a `client_id` in either form. Out: a live `Client`, or a refusal.
 */
import { refuse } from "../../errors.ts";
import type { Instant } from "../../storage/storage.ts";
import type { ClientSettings } from "./settings.ts";

export type { ResponseType, UserType } from "./settings.ts";

export interface Client {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  readonly client_id: string;
  readonly name: string | null;
  readonly description: string | null;
  readonly settings: ClientSettings;
  /** Made by the account, registered by itself (RFC 7591), or described by a document at its address. */
  readonly origin: "account" | "dynamic" | "metadata";
  /** What the account has set at one that it did not make, by name (`name`, settings): the client does not change it. */
  readonly set_by_account: readonly string[];
  /** Of a stranger's, see `untried.ts`. */
  readonly untried_since: Instant | null;
  readonly created_at: string;
  readonly created_by: string | null;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly deleted_by: string | null;
}

/** It has no secret and no key, so whoever knows its name is it. */
export const isPublic = ({ token_endpoint_auth_method }: Pick<Partial<ClientSettings>, "token_endpoint_auth_method">) =>
  token_endpoint_auth_method === "none";

/**
 * Public clients always, others as they are set, by default where no ID token is asked for (RFC 7636 §4.4.1, RFC 9700
 * §2.1.1).
 */
export const needsPkce = (settings: ClientSettings, openid: boolean): boolean =>
  isPublic(settings) || (settings.require_pkce ?? !openid);

/**
 * Whether each refresh answers another token: at public clients always, since nobody else could tell that one was stolen
 * (RFC 9700 §2.2.2).
 */
export const rotatesTokens = (settings: ClientSettings): boolean =>
  isPublic(settings) || settings.rotate_refresh_tokens;

/** That the account has not taken this grant type away from it. @throws 403 unauthorized_client. */
export function checkMayUse<C extends Client>(client: C, grant_type: ClientSettings["grant_types"][number]): C {
  if (client.settings.grant_types.includes(grant_type)) return client;
  throw refuse("unauthorized_client", { message: `The client may not use ${grant_type}.` });
}
