import { Type } from "typebox";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { sourceOf } from "../../directory/clients/end-user-source.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findConnection } from "../../directory/connections/connection.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import { findUser } from "../../directory/users/find-user.ts";
import { noSuch, refuse } from "../../errors.ts";
import { type Bearer, bearer_refusals, EndUserHeaders, OidParams, refusals } from "../../http/contract.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import type { Authentication } from "../authentication.ts";
import { requestedLanguage } from "../messages/requested-language.ts";
import { mintCode } from "./mint.ts";
import { MintBody, MintReply, PasswordlessBody } from "./schema.ts";
import { sendCode } from "./send.ts";

const SEND = "write:accounts:/auth/passwordless";
const send_scopes = [SEND, `${SEND}-sms`, `${SEND}-email`];

export function passwordlessRoutes(app: App, authentication: Authentication): void {
  const { directory } = authentication;
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/passwordless",
    config: { surface: "account", scopes: ["admin:accounts", "write:accounts", ...send_scopes] },
    schema: {
      operationId: "aid_auth_account_passwordless_post",
      summary: "Send a verification code",
      description:
        "Answers 204 whether or not the person is known. Login-Session-Id names the login, for sending the same code again.",
      tags: ["passwordless"],
      params: OidParams,
      headers: EndUserHeaders,
      body: PasswordlessBody,
      response: {
        204: Type.Null({ description: "The request was processed." }),
        ...refusals("account", ...bearer_refusals, "unauthorized_client", "too_many_requests"),
      },
    },
    handler: async (request, reply) => {
      const { account_id, bearer, body } = request;
      const account = await findAccount(directory, account_id);
      const client = await findClient(directory, account_id, body.client_id);
      checkActsFor(bearer, client, send_scopes);
      await findGrant(directory, account, client, body.audience, "authorization_code");
      const connection = await findConnection(directory, client, body.connection);
      checkMaySend(bearer, connection.strategy);
      const { login_session_id } = await sendCode(authentication, {
        ...body,
        account,
        client,
        connection,
        user_type: client.settings.user_type,
        locale: requestedLanguage(request.headers["accept-language"], [body.locale]),
        source: sourceOf(bearer, client, request.headers["end-user-ip"], request.ip),
        own: bearer.scope.includes("admin:accounts") ? bearer.subject : null,
        actor: bearer.subject,
        facts: factsOf(request),
        now: directory.storage.now(),
      });
      return reply.code(204).header("login-session-id", login_session_id).send(null);
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/passwordless/code",
    config: { surface: "account", scopes: ["admin:accounts", "write:accounts", `${SEND}/code`] },
    schema: {
      operationId: "aid_auth_passwordless_post",
      summary: "Create a verification code",
      description: "Returns the code for you to deliver. At most five live ones for one user and client.",
      tags: ["passwordless"],
      params: OidParams,
      body: MintBody,
      response: {
        200: MintReply,
        ...refusals("account", ...bearer_refusals, "unauthorized_client", "not_found", "too_many_requests"),
      },
    },
    handler: async (request, reply) => {
      const { account_id, bearer, body } = request;
      const account = await findAccount(directory, account_id);
      const client = await findClient(directory, account_id, body.client_id);
      checkActsFor(bearer, client);
      await findGrant(directory, account, client, body.audience, "authorization_code");
      const user = await findUser(directory, account_id, body.user_id);
      if (user.type === "account_user" || user.type !== client.settings.user_type) {
        throw noSuch("user");
      }
      const minted = await mintCode(directory, {
        account,
        client,
        audience: body.audience,
        user_id: user.id,
        format: body.format ?? client.settings.code_format,
        reason: body.reason,
        actor: bearer.subject,
        facts: factsOf(request),
        now: directory.storage.now(),
      });
      reply.header("cache-control", "no-store");
      return { verification_code: reveal(minted.verification_code), expires_at: minted.expires_at };
    },
  });
}

/** The narrow scopes allow one kind of connection each. @throws 403 insufficient_scope. */
function checkMaySend({ scope }: Bearer, strategy: "email" | "sms"): void {
  const scopes = ["admin:accounts", "write:accounts", SEND, `${SEND}-${strategy}`];
  if (scopes.some((wanted) => scope.includes(wanted))) return;
  throw refuse("insufficient_scope", { message: `The access token may not send over ${strategy}.`, scopes });
}
