import { senderOf } from "../../authentication/messages/enqueue-message.ts";
import { requestedLanguage } from "../../authentication/messages/requested-language.ts";
import { challengeFactor } from "../../authentication/mfa/challenge.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { sourceOf } from "../../directory/clients/end-user-source.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { bearer_refusals, EndUserHeaders, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { reveal, secret } from "../../secrets/secret.ts";
import type { Oauth } from "../oauth.ts";
import { no_store } from "../token-reply.ts";
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
      const { account_id, bearer, body } = request;
      const now = directory.storage.now();
      const account = await findAccount(directory, account_id);
      const pending = await openLogin(directory, account_id, secret(body.mfa_token), now);
      const client = await findClient(directory, account_id, pending.client_id);
      checkActsFor(bearer, client, ["write:accounts:/auth/mfa"]);
      const about = {
        account,
        pending,
        sender: senderOf(account, client),
        source: sourceOf(bearer, client, request.headers["end-user-ip"], request.ip),
        locale: requestedLanguage(request.headers["accept-language"]),
        actor: bearer.subject,
        facts: factsOf(request),
        now,
      };
      const oob_code = await challengeFactor(oauth, { ...about, channel: body.oob_channel });
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
      const { bearer, body, headers, ip } = request;
      const { username, audience, oob_channel: channel = "sms" } = body;
      const locale = requestedLanguage(headers["accept-language"]);
      const forgotten = { username, audience, channel, locale, end_user_ip: headers["end-user-ip"], ip };
      const { mfa_token, oob_code } = await recoverNamed(oauth, bearer, forgotten, factsOf(request));
      reply.headers(no_store);
      const codes = { oob_code: reveal(oob_code), mfa_token: reveal(mfa_token) };
      return { challenge_type: "oob" as const, binding_method: "prompt" as const, ...codes };
    },
  });
}
