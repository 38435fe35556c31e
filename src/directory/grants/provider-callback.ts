import { sha256Text } from "../../secrets/digest.ts";
import { issuerOf } from "../accounts/account.ts";
import type { GrantOidc } from "./grant.ts";

/** Issuers are compared so: a session and its provider, and the address of its answers, have to agree on who that is. */
export const withoutSlash = (issuer: string): string => issuer.replace(/\/$/, "");

/** What stands for a provider in the address of its answers: the SHA-256 of its issuer, in base64url. */
export const providerDigest = ({ authority }: Pick<GrantOidc, "authority">): string =>
  sha256Text(withoutSlash(authority));

/**
 * Where a provider sends browsers back to. Each issuer has an address of its own, so that no provider can have
 * another one's answer delivered as its own (mix-up, RFC 9700 §4.4.2).
 */
export const providerCallback = (public_url: string, account_id: string, oidc: Pick<GrantOidc, "authority">): string =>
  `${issuerOf(public_url, account_id)}/login/upstream/callback/${providerDigest(oidc)}`;
