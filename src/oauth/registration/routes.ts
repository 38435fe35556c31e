import type { FastifyRequest, preValidationHookHandler } from "fastify";
import { Type } from "typebox";
import { issuerOf } from "../../directory/accounts/account.ts";
import { actorFrom } from "../../directory/actor.ts";
import type { Client } from "../../directory/clients/client.ts";
import { Oid, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { reveal, secret } from "../../secrets/secret.ts";
import { checkBearer, findBearer } from "../bearer/bearer.ts";
import { bearerToken } from "../bearer/find-token.ts";
import { presentedBy } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import { no_store } from "../token-reply.ts";
import { ClientMetadata, ClientReplacement, emptyLeftOut, metadataOfClient } from "./client-metadata.ts";
import { findRegistered, removeRegistered, replaceRegistered } from "./manage-registered.ts";
import { registerClient } from "./register.ts";
import { NOBODY, REGISTER_SCOPE } from "./registration.ts";
import { schemaFault } from "./registration-terms.ts";

const tags = ["oauth"];
const Params = Type.Object({ oid: Oid, client_id: Type.String({ maxLength: 64 }) });
const Information = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  additionalProperties: true,
  description: "RFC 7591 §3.2.1: what is registered, with registration_client_uri.",
});
const wrong = ["invalid_request", "invalid_redirect_uri", "invalid_client_metadata", "invalid_token"] as const;
const config = { surface: "oauth", public: true, credentials: ["bearer"] } as const;

const leaveOutEmpty: preValidationHookHandler = (request, _reply, done) => {
  request.body = emptyLeftOut(request.body);
  done();
};

export function registrationRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;

  const information = (client: Client, more: object = {}) => ({
    client_id: client.client_id,
    client_id_issued_at: Math.floor(Date.parse(client.created_at) / 1000),
    ...metadataOfClient(client),
    registration_client_uri: `${issuerOf(directory.public_url, client.account_id)}/oauth/register/${client.client_id}`,
    ...more,
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/register",
    config: { ...config, credentials: ["bearer", "none"] },
    preValidation: leaveOutEmpty,
    schemaErrorFormatter: schemaFault,
    schema: {
      operationId: "oauth_register_post",
      summary: "Register a client",
      description: `RFC 7591, with an initial access token: one for the account API that holds admin:accounts, write:accounts or ${REGISTER_SCOPE}. Where the account's open_registration is on, a client needs none: it is registered without a secret, with no grant types but authorization_code and refresh_token, and the answer says so (§3.2.1). Device codes alone are refused.`,
      tags,
      params: OidParams,
      body: ClientMetadata,
      response: {
        201: Information,
        ...refusals("oauth", ...wrong, "insufficient_scope", "unauthorized_client", "not_found", "too_many_requests"),
      },
    },
    handler: async (request, reply) => {
      const { account_id, body, ip: source } = request;
      const bearer =
        request.headers.authorization === undefined
          ? undefined
          : await findBearer(oauth, account_id, presentedBy(request));
      if (bearer) checkBearer(bearer, { scopes: ["admin:accounts", "write:accounts", REGISTER_SCOPE] });
      const actor = actorFrom(bearer?.subject ?? NOBODY, factsOf(request));
      const who = { allowed: bearer !== undefined, actor, source };
      const { client, client_secret, registration_access_token } = await registerClient(oauth, account_id, body, who);
      reply.code(201).headers(no_store);
      return information(client, {
        registration_access_token: reveal(registration_access_token),
        ...(client_secret ? { client_secret: reveal(client_secret), client_secret_expires_at: 0 } : {}),
      });
    },
  });

  const tokenOf = ({ headers }: Pick<FastifyRequest, "headers">) => secret(bearerToken(headers.authorization));
  const find = (request: Pick<FastifyRequest, "account_id" | "headers">, client_id: string) =>
    findRegistered(oauth, request.account_id, client_id, tokenOf(request));
  /** RFC 7592 §3: with the token that goes on being good. */
  const informationFor = (request: Pick<FastifyRequest, "headers">, client: Client) =>
    information(client, { registration_access_token: reveal(tokenOf(request)) });
  const actorOf = (request: FastifyRequest, { id }: Client) => actorFrom(id, factsOf(request));
  const url = "/v1/accounts/:oid/oauth/register/:client_id";

  app.route({
    method: "GET",
    url,
    config,
    schema: {
      operationId: "oauth_register_client_get",
      summary: "What a client registered",
      description: "RFC 7592 §2.1, with the registration access token.",
      tags,
      params: Params,
      response: { 200: Information, ...refusals("oauth", "invalid_request", "invalid_token") },
    },
    handler: async (request, reply) => {
      reply.headers(no_store);
      return informationFor(request, await find(request, request.params.client_id));
    },
  });

  app.route({
    method: "PUT",
    url,
    config,
    preValidation: leaveOutEmpty,
    schemaErrorFormatter: schemaFault,
    schema: {
      operationId: "oauth_register_client_put",
      summary: "Replace what a client registered",
      description:
        "RFC 7592 §2.2: a field that is left out, null or empty is reset. client_id and client_secret are the client's own, or left out. What the account has set stays, and the answer shows it.",
      tags,
      params: Params,
      body: ClientReplacement,
      response: { 200: Information, ...refusals("oauth", ...wrong, "too_many_requests") },
    },
    handler: async (request, reply) => {
      const client = await find(request, request.params.client_id);
      reply.headers(no_store);
      return informationFor(request, await replaceRegistered(oauth, client, request.body, actorOf(request, client)));
    },
  });

  app.route({
    method: "DELETE",
    url,
    config,
    schema: {
      operationId: "oauth_register_client_delete",
      summary: "Delete a client that registered itself",
      description: "RFC 7592 §2.3. What was issued to it stops.",
      tags,
      params: Params,
      response: { 204: Type.Null(), ...refusals("oauth", "invalid_request", "invalid_token") },
    },
    handler: async (request, reply) => {
      const client = await find(request, request.params.client_id);
      await removeRegistered(oauth, client, actorOf(request, client));
      return reply.code(204).send(null);
    },
  });
}
