import { randomBytes } from "node:crypto";
import { Type } from "typebox";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { actorOf } from "../../directory/actor.ts";
import { bearer_refusals, EndUserHeaders, NOTHING, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { base64url } from "../../secrets/digest.ts";
import { secret } from "../../secrets/secret.ts";
import { callerOf } from "../caller.ts";
import type { Oauth } from "../oauth.ts";
import { accessTokenReply, no_store } from "../token-reply.ts";
import { beginSignup } from "./begin-signup.ts";
import { finishSignup } from "./finish-signup.ts";
import {
  AcceptedReply,
  type Application,
  readDocumented,
  SignupBody,
  SignupReply,
  VerifyQuery,
  VerifyReply,
} from "./schema.ts";

const tags = ["sign-up"];

export function signupRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/signup",
    config: { surface: "account", scopes: ["create:account", "create:applicant", "admin:accounts"] },
    schema: {
      operationId: "accounts_oid_signup_post",
      summary: "Sign up for an account under this owner",
      description:
        "Mails the applicant a code. The owner's setting signup must be on. A body with `applicant` is answered with 202, as the API's documents have it.",
      tags,
      params: OidParams,
      headers: EndUserHeaders,
      body: SignupBody,
      response: {
        200: SignupReply,
        202: Type.Null({ description: "The same, where the body has an applicant apart." }),
        ...refusals("account", ...bearer_refusals, "access_denied", "too_many_requests"),
      },
    },
    handler: async (request, reply) => {
      const caller = await callerOf(directory, request, request.bearer);
      const documented = readDocumented(request.body);
      const begun = await beginSignup(oauth, caller, documented ?? (request.body as Application));
      return documented ? reply.code(202).send(NOTHING) : begun;
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/signup/verify",
    config: { surface: "account", scopes: ["create:account", "admin:accounts"] },
    schema: {
      operationId: "accounts_oid_signup_verify_post",
      summary: "Open the account that was signed up for",
      description: "Once. Whoever repeats the code within its hour is told the account again, and gets no tokens.",
      tags,
      params: OidParams,
      querystring: VerifyQuery,
      response: {
        200: VerifyReply,
        202: AcceptedReply,
        ...refusals("account", ...bearer_refusals, "invalid_verification_code", "access_denied", "too_many_attempts"),
      },
    },
    handler: async (request, reply) => {
      const { verification_code, authorize } = request.query;
      const owner = await findAccount(directory, request.account_id);
      const log_in = authorize === "Bearer";
      const opened = await finishSignup(oauth, owner, secret(verification_code), log_in, actorOf(request));
      const { account_id, email, login } = opened;
      const about = { account_id: account_id.slice(1), email };
      reply.headers(no_store);
      if (!login) return reply.code(202).send(about);
      // Nothing reads it: until there is a password, none has to be shown.
      const previous_password_token = base64url(randomBytes(32));
      const { client_id, tokens } = login;
      return { ...about, ...accessTokenReply(tokens), client_id, previous_password_token };
    },
  });
}
