import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { isPublic } from "../../directory/clients/client.ts";
import { OidParams, refusals } from "../../http/contract.ts";
import { parameterFaults } from "../../http/parameters.ts";
import type { App } from "../../http/server.ts";
import { chargeRequest } from "../charge-request.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { ClientCredentials } from "../client-authentication/schema.ts";
import { presentedBy, shownProof } from "../dpop/dpop.ts";
import { targets } from "../named-audience.ts";
import type { Oauth } from "../oauth.ts";
import { lookUpAnyClient } from "../registration/find-current-client.ts";
import { noteLogin } from "../registration/note-used.ts";
import { type FormPage, sendAnswer } from "./answer.ts";
import { answerWithCode } from "./answer-with-code.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { beginRequest, isPushed, keepRequest, loginPageOf, PUSHED_LIFETIME, requestUriOf } from "./begin.ts";
import { browserOf } from "./cookie.ts";
import { pushRequest } from "./push-request.ts";
import { checkSilent, nextStep } from "./resume.ts";
import { RawParameters } from "./schema.ts";
import { sendRefusal } from "./unchecked.ts";

const tags = ["oauth"];
/** What a client that its document describes may meet. */
const undescribed = [
  ...(["invalid_client_metadata", "invalid_redirect_uri", "client_unreachable"] as const),
  "too_many_requests",
] as const;
const misses = refusals(
  "oauth",
  ...(["invalid_request", "redirect_uri_mismatch", "redirect_uri_required", "not_found"] as const),
  ...(["invalid_request_object", "unauthorized_client"] as const),
  ...undescribed,
);

const html = Type.Unsafe<string>({ description: "A page, or a form that posts itself." });
const seen = Type.Null({ description: "`Location` is a login page, or the callback with the answer." });

export function authorizationRoutes(app: App, oauth: Oauth, postAnswer: FormPage): void {
  const { directory } = oauth;

  /** For its login page, where the browser goes. What was pushed was counted then, or its client showed who it is. */
  async function keep(request: FastifyRequest, reply: FastifyReply, begun: AuthorizationRequest, raw: RawParameters) {
    if (!isPushed(raw))
      await chargeRequest(oauth, request.account_id, { address: request.ip, browser: browserOf(request, directory) });
    await noteLogin(directory, begun, request.ip);
    const page = loginPageOf(directory.public_url, await keepRequest(oauth, begun));
    return reply.header("cache-control", "no-store").redirect(page, 303);
  }

  async function begin(request: FastifyRequest, reply: FastifyReply, raw: RawParameters) {
    try {
      const { account_id, ip: source } = request;
      const begun = await beginRequest(oauth, account_id, { raw, faults: parameterFaults(request), source });
      const resumed = await nextStep(oauth, begun, browserOf(request, directory));
      const { next } = resumed;
      if (next.step === "done")
        return sendAnswer(reply, await answerWithCode(oauth, resumed, begun, next.session), postAnswer);
      checkSilent(begun, next);
      return await keep(request, reply, begun, raw);
    } catch (error) {
      return sendRefusal(directory, reply, error, postAnswer);
    }
  }

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/oauth/authorize",
    config: { surface: "oauth", public: true, cors: false, page: true, targets },
    attachValidation: true,
    schema: {
      operationId: "oauth_authorize_get",
      summary: "Authorization endpoint",
      description: "RFC 6749 §3.1, OpenID Connect Core §3.1.2: the code flow with PKCE.",
      tags,
      params: OidParams,
      querystring: RawParameters,
      response: { 200: html, 303: seen, ...misses },
    },
    handler: (request, reply) => begin(request, reply, request.query),
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/authorize",
    config: { surface: "oauth", public: true, cors: false, page: true, form: "body", targets },
    attachValidation: true,
    schema: {
      operationId: "oauth_authorize_post",
      summary: "Authorization endpoint, with a form",
      tags,
      params: OidParams,
      body: RawParameters,
      response: { 200: html, 303: seen, ...misses },
    },
    handler: async (request, reply) => {
      // No cookie comes with a form of another site (SameSite=Lax), so the browser is sent to ask again.
      try {
        const { account_id, body: raw, ip: source } = request;
        const faults = parameterFaults(request as FastifyRequest);
        const begun = await beginRequest(oauth, account_id, { raw, faults, source });
        return await keep(request as FastifyRequest, reply as FastifyReply, begun, raw);
      } catch (error) {
        return sendRefusal(directory, reply as FastifyReply, error, postAnswer);
      }
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/par",
    config: { surface: "oauth", public: true, credentials: ["client", "none"], form: "body", targets },
    schema: {
      operationId: "oauth_par_post",
      summary: "Push an authorization request",
      description: "RFC 9126. The request_uri works once, within a minute.",
      tags,
      params: OidParams,
      body: Type.Object({ ...RawParameters.properties, ...ClientCredentials }),
      response: {
        201: Type.Object({ request_uri: Type.String(), expires_in: Type.Integer() }),
        ...refusals(
          "oauth",
          ...(["invalid_request", "invalid_client", "unauthorized_client", "not_found"] as const),
          ...(["invalid_request_object", "unsupported_response_type", "invalid_scope", "invalid_target"] as const),
          ...(["invalid_dpop_proof", "use_dpop_nonce"] as const),
          ...undescribed,
        ),
      },
    },
    handler: async (request, reply) => {
      const { account_id, body } = request;
      if (body.client_id !== undefined) {
        const account = await findAccount(directory, account_id);
        await lookUpAnyClient(oauth, account, body.client_id, request.ip);
      }
      const proof = await shownProof(directory, account_id, presentedBy(request));
      const client = await authenticate(oauth, request, body, "par");
      if (isPublic(client.settings)) await chargeRequest(oauth, account_id, { address: request.ip });
      const named = { ...body, client_id: client.client_id };
      const pushed = await pushRequest(oauth, { account_id, body: named, proof, source: request.ip });
      reply.code(201).header("cache-control", "no-store");
      return { request_uri: requestUriOf(pushed), expires_in: PUSHED_LIFETIME / 1000 };
    },
  });
}
