/**
 * Authorization requests of the standard surface (RFC 6749 §4.1.1, OpenID Connect Core §3.1.2.1): what a browser brings to
 * `oauth/authorize`, what a client pushes to `oauth/par` (RFC 9126), and how far a browser has come with it.
 *
 * In: parameters. Out: a request whose client and redirect_uri are known and whose every other parameter is understood;
 * stored, so that the login pages can go on with it; at the end an answer at the redirect_uri. Until client and
 * redirect_uri are known nothing is redirected anywhere.
 */

import type { Instant } from "../../storage/storage.ts";
import { OFFLINE } from "../scopes.ts";
import type { Target } from "../target.ts";
import type { ClaimName } from "../userinfo/claims-about.ts";
import { scopeOfClaim } from "../userinfo/claims-about.ts";

export type ResponseMode = "query" | "fragment" | "form_post";
export type Prompt = "none" | "login" | "consent" | "select_account" | "create";

/** Understood in full. */
export interface AuthorizationParameters extends Target {
  readonly redirect_uri: string;
  readonly redirect_uri_named: boolean;
  readonly response_mode: ResponseMode;
  readonly state?: string | undefined;
  /** As in AnswerTo. */
  readonly unchecked?: string | undefined;
  readonly nonce?: string | undefined;
  readonly code_challenge?: string | undefined;
  readonly openid: boolean;
  readonly prompt: readonly Prompt[];
  /** Seconds. */
  readonly max_age?: number | undefined;
  readonly login_hint?: string | undefined;
  /** `sub` of id_token_hint. */
  readonly subject_hint?: string | undefined;
  /** BCP 47, in the order of preference. */
  readonly ui_locales: readonly string[];
  /** A second factor is asked for (acr_values). */
  readonly two_factors: boolean;
  /** The classes of which the ID token names one (`claims`), where the login reaches it. */
  readonly named_acr?: readonly string[] | undefined;
  /** The classes of which the login has to reach one (`claims`); no answer is given without. */
  readonly essential_acr?: readonly string[] | undefined;
  /** Single claims, beside what the scopes tell. */
  readonly claims?: { readonly id_token: readonly ClaimName[]; readonly userinfo: readonly ClaimName[] } | undefined;
  /** Thumbprint of the DPoP key that has to redeem the code. */
  readonly dpop_jkt?: string | undefined;
  /** It is for a page of ours alone: nothing is handed to any client. */
  readonly own_page?: true | undefined;
  /** The device that waits for this (RFC 8628); its redirect_uri is a page of ours. */
  readonly device?: string | undefined;
}

/** How far the browser is. */
export interface Progress {
  /** The session that the person chose or has just begun. */
  readonly session_id?: string;
  /**
   * When they logged in during this request, which is what prompt=login and max_age ask for; milliseconds. True where a
   * build from before noted no more than that they did.
   */
  readonly fresh?: number | true;
  readonly consented?: boolean;
  /** They are logging in as this. */
  readonly identifier?: string;
  readonly connection?: "email" | "sms";
  /** The code that is waited for was sent in this login session. */
  readonly login_session_id?: string;
  /** When it was asked for last. */
  readonly asked_at?: Instant;
  /** … which was not the first time. */
  readonly again?: boolean;
  /** Between two factors. */
  readonly mfa_token?: string;
  readonly oob_code?: string;
  readonly oob_channel?: "sms" | "email";
  /** They want to log in as somebody else. */
  readonly another?: boolean;
  /** What the page has to say about the last step. */
  readonly problem?: string;
  /** When it is over, where it passes. */
  readonly retry_at?: Instant;
}

export interface AuthorizationRequest {
  readonly account_id: string;
  readonly id: string;
  /** The client's uuid. */
  readonly client_id: string;
  readonly kind: "pushed" | "browser";
  readonly parameters: AuthorizationParameters;
  readonly progress: Progress;
  /** It is in the database: a login page goes on with it, or its client pushed it. */
  readonly kept: boolean;
  readonly browser_digest: Uint8Array | null;
  readonly created_at: Instant;
  readonly expires_at: Instant;
  readonly used_at: Instant | null;
}

/** What a person is asked for: the scopes, a login that lasts, and the scopes that single claims belong to. */
export function askedScope({ scope, lasting, claims }: AuthorizationParameters): readonly string[] {
  const single = [...(claims?.id_token ?? []), ...(claims?.userinfo ?? [])].map(scopeOfClaim);
  return [...new Set([...scope, ...(lasting ? [OFFLINE] : []), ...single])];
}
