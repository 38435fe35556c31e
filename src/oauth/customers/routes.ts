import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { issuerOf } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { refuseField } from "../../errors.ts";
import { bearer_refusals, EndUserHeaders, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { reveal, secret } from "../../secrets/secret.ts";
import { callerOf } from "../caller.ts";
import type { Oauth } from "../oauth.ts";
import { NO_MFA } from "../scopes.ts";
import { AccessTokenReply, accessTokenReply, no_store } from "../token-reply.ts";
import { type CustomerRequest, nameCustomer } from "./customer.ts";
import { beginCustomersLogin, logInCustomer, recoverCustomer } from "./log-in.ts";
import { offerReset, resetPassword } from "./reset-password.ts";
import { ChangePasswordBody, LoginBody, MfaLoginBody, MfaLoginReply, RecoveryBody, RecoveryReply } from "./schema.ts";

const tags = ["customers"];
const scopes = ["write:accounts:/auth/users", "admin:accounts", "write:accounts"];
const login_refusals = [
  ...bearer_refusals,
  "invalid_grant",
  "unauthorized_client",
  "mfa_required",
  "access_denied",
  "too_many_attempts",
] as const;

type Named = Pick<CustomerRequest, "audience" | "type" | "ident_type" | "ident">;

async function customerRequest(
  directory: Directory,
  request: FastifyRequest,
  { audience, type, ident_type, ident }: Named,
): Promise<CustomerRequest> {
  const caller = await callerOf(directory, request, request.bearer);
  return { caller, audience, type, ident_type, ident };
}

export function customerRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  const links = (account_id: string, ...rels: readonly ("mfa_challenge" | "mfa_oob")[]) => {
    const paths = { mfa_challenge: "auth/mfa/challenge", mfa_oob: "auth/token" };
    return rels.map((rel) => ({ rel, href: `${issuerOf(directory.public_url, account_id)}/${paths[rel]}` }));
  };

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/customers/login",
    config: { surface: "account", scopes: [...scopes, NO_MFA] },
    schema: {
      operationId: "aid_customers_login_post",
      summary: "Log a customer in with a password",
      tags,
      params: OidParams,
      headers: EndUserHeaders,
      body: LoginBody,
      response: { 200: AccessTokenReply, ...refusals("account", ...login_refusals) },
    },
    handler: async (request, reply) => {
      const { email, ident_type = "email", ident = email, audience, type, password } = request.body;
      if (ident === undefined) throw refuseField("email", "required", "or ident_type and ident are required");
      const customer = await customerRequest(directory, request, { audience, type, ident_type, ident });
      const tokens = await logInCustomer(oauth, customer, secret(password));
      reply.headers(no_store);
      return accessTokenReply(tokens);
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/customers/mfa_login",
    config: { surface: "account", scopes },
    schema: {
      operationId: "aid_customers_mfa_login_post",
      summary: "Begin a customer's login with a second factor",
      tags,
      params: OidParams,
      headers: EndUserHeaders,
      body: MfaLoginBody,
      response: { 200: MfaLoginReply, ...refusals("account", ...login_refusals) },
    },
    handler: async (request, reply) => {
      const { body, account_id } = request;
      const customer = await customerRequest(directory, request, body);
      const { mfa_token, oob_channel } = await beginCustomersLogin(oauth, customer, secret(body.secret));
      reply.headers(no_store);
      return {
        links: links(account_id, "mfa_challenge", "mfa_oob"),
        mfa_token: reveal(mfa_token),
        challenge_type: "oob" as const,
        ...(oob_channel ? { oob_channel } : {}),
      };
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/customers/mfa_login_recovery",
    config: { surface: "account", scopes },
    schema: {
      operationId: "aid_customers_mfa_login_initiate_recovery_post",
      summary: "Begin a customer's login without the password",
      description:
        "Sends a binding code over the account's mfa_recovery_channel. At auth/token that code answers 403 mfa_required, with an mfa_token for a second code over another channel.",
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
      const { body, account_id } = request;
      const customer = await customerRequest(directory, request, body);
      const { mfa_token, oob_code } = await recoverCustomer(oauth, customer);
      reply.headers(no_store);
      const codes = { oob_code: reveal(oob_code), mfa_token: reveal(mfa_token) };
      const method = { binding_method: "prompt" as const, challenge_type: "oob" as const };
      return { links: links(account_id, "mfa_oob"), ...method, ...codes };
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/customers/change_password",
    config: { surface: "account", scopes },
    schema: {
      operationId: "aid_customers_change_password",
      summary: "Let a customer choose a new password",
      description:
        "Answers alike whether or not the customer is known, and mails a code. Sent again with that verification_code and a password, it sets the password. After that, a code by mail is no second factor beside it.",
      tags,
      params: OidParams,
      headers: EndUserHeaders,
      body: ChangePasswordBody,
      response: {
        204: Type.Null({ description: "The request was processed." }),
        ...refusals(
          "account",
          ...bearer_refusals,
          "unauthorized_client",
          "access_denied",
          "ident_required",
          "invalid_verification_code",
          "verification_code_used",
          "verification_code_expired",
          "too_many_requests",
          "too_many_attempts",
        ),
      },
    },
    handler: async (request, reply) => {
      const { email, audience, type, verification_code, password } = request.body;
      const about = { audience, type, ident_type: "email", ident: email } as const;
      const customer = await customerRequest(directory, request, about);
      const named = await nameCustomer(oauth, customer);
      if (verification_code === undefined) await offerReset(oauth, named, customer);
      else if (password === undefined)
        throw refuseField("password", "required", "is required beside verification_code");
      else await resetPassword(oauth, named, customer, secret(verification_code), secret(password));
      return reply.code(204).send(null);
    },
  });
}
