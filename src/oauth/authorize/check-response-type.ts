import { type Client, checkMayUse, needsPkce } from "../../directory/clients/client.ts";
import { refuse, refuseField } from "../../errors.ts";
import type { AuthorizeRequest } from "./schema.ts";

/**
 * `authenticate` is always enabled, `code` for whoever may redeem one, `token` only where the client lists it (RFC 9700 §2.1.2)
 * and takes tokens that are bound to no key. PKCE goes with `code`, and with S256 alone.
 *
 * @throws 400 unsupported_response_type, 400 invalid_request, 403 unauthorized_client.
 */
export function checkResponseType(client: Client, request: AuthorizeRequest): void {
  const { settings } = client;
  const { response_type, code_challenge, code_challenge_method, scope } = request;
  const gives_tokens = settings.response_types.includes("token") && !settings.dpop_bound_access_tokens;
  if (response_type === "token" && !gives_tokens) throw refuse("unsupported_response_type");
  if (response_type === "code") checkMayUse(client, "authorization_code");
  if (code_challenge !== undefined && response_type !== "code") {
    throw refuseField("code_challenge", "response_type", "goes with response_type=code");
  }
  if (code_challenge_method !== undefined && code_challenge === undefined) {
    throw refuseField("code_challenge", "required", "is required beside code_challenge_method");
  }
  if (code_challenge !== undefined && code_challenge_method === undefined) {
    throw refuseField("code_challenge_method", "required", "must be S256 beside code_challenge");
  }
  if (response_type === "code" && code_challenge === undefined && needsPkce(settings, scope === "openid")) {
    throw refuseField("code_challenge", "required", "is required for this client (PKCE, S256)");
  }
}
