import { Type } from "typebox";
import { isPublic } from "../../directory/clients/client.ts";
import { OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { LONGEST_TOKEN } from "../../secrets/longest-token.ts";
import { reveal } from "../../secrets/secret.ts";
import { chargeRequest } from "../charge-request.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { ClientCredentials } from "../client-authentication/schema.ts";
import { targets } from "../named-audience.ts";
import type { Oauth } from "../oauth.ts";
import { no_store } from "../token-reply.ts";
import { requestDevice } from "./request-device.ts";

const text = (description: string, maxLength = 2_048) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }));

const Body = Type.Object({
  ...ClientCredentials,
  scope: text("Space-separated; `openid` asks for an ID token.", LONGEST_TOKEN),
  resource: text("The API (RFC 8707)."),
  audience: text("Another name for resource."),
});

export function deviceRoutes(app: App, oauth: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/device_authorization",
    config: { surface: "oauth", public: true, credentials: ["client", "none"], form: "body", targets },
    schema: {
      operationId: "oauth_device_authorization_post",
      summary: "Codes for a device without a browser",
      description: "RFC 8628. The device shows user_code and verification_uri, and polls the token endpoint.",
      tags: ["oauth"],
      params: OidParams,
      body: Body,
      response: {
        200: Type.Object({
          device_code: Type.String(),
          user_code: Type.String(),
          verification_uri: Type.String(),
          verification_uri_complete: Type.String(),
          expires_in: Type.Integer(),
          interval: Type.Integer(),
        }),
        ...refusals(
          "oauth",
          "invalid_request",
          "invalid_scope",
          "invalid_target",
          "invalid_client",
          "unauthorized_client",
          "client_unreachable",
          "too_many_requests",
        ),
      },
    },
    handler: async (request, reply) => {
      const { account_id, body } = request;
      const client = await authenticate(oauth, request, body, "device_authorization");
      if (isPublic(client.settings)) await chargeRequest(oauth, account_id, { address: request.ip });
      const { device_code, ...codes } = await requestDevice(oauth, client, body);
      reply.headers(no_store);
      return { device_code: reveal(device_code), ...codes };
    },
  });
}
