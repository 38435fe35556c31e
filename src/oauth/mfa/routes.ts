import { bearer_refusals, EndUserHeaders, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { reveal, secret } from "../../secrets/secret.ts";
import { callerOf } from "../caller.ts";
import type { Oauth } from "../oauth.ts";
import { no_store } from "../token-reply.ts";
import { challengeLogin } from "./challenge.ts";
import { recoverNamed } from "./recover.ts";
import { ChallengeBody, ChallengeReply, RecoveryBody, RecoveryReply } from "./schema.ts";

const tags = ["mfa"];
const scopes = ["admin:accounts", "write:accounts", "write:accounts:/auth/mfa"];

export function mfaRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/mfa/challenge",
    config: { surface: "account", scopes },
    schema: {
      operationId: "aid_auth_mfa_challenge_post",
      summary: "Send a binding code",
      description: "Finish with it where the login began: at auth/token with grant_type=mfa_oob, or at auth/authorize.",
      tags,
      params: OidParams,
      headers: EndUserHeaders,
      body: ChallengeBody,
      response: {
        200: ChallengeReply,
        ...refusals("account", ...bearer_refusals, "invalid_grant", "not_found", "too_many_requests"),
      },
    },
    handler: async (request, reply) => {
      const { mfa_token, oob_channel } = request.body;
      const caller = await callerOf(directory, request, request.bearer);
      const oob_code = await challengeLogin(oauth, caller, secret(mfa_token), oob_channel);
      reply.headers(no_store);
      return { challenge_type: "oob" as const, binding_method: "prompt" as const, oob_code: reveal(oob_code) };
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/mfa/recovery",
    config: { surface: "account", scopes },
    schema: {
      operationId: "aid_auth_mfa_recovery_post",
      summary: "Begin a login without the password",
      description:
        "Two binding codes over different channels. The first one, at auth/token with grant_type=mfa_oob, answers 403 mfa_required with an mfa_token for the second.",
      tags,
      params: OidParams,
      headers: EndUserHeaders,
      body: RecoveryBody,
      response: {
        200: RecoveryReply,
        ...refusals("account", ...bearer_refusals, "unauthorized_client", "too_many_requests"),
      },
    },
    handler: async (request, reply) => {
      const { username, audience, oob_channel: channel = "sms" } = request.body;
      const caller = await callerOf(directory, request, request.bearer);
      const { mfa_token, oob_code } = await recoverNamed(oauth, caller, { username, audience, channel });
      reply.headers(no_store);
      const codes = { oob_code: reveal(oob_code), mfa_token: reveal(mfa_token) };
      return { challenge_type: "oob" as const, binding_method: "prompt" as const, ...codes };
    },
  });
}
