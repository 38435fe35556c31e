import { Type } from "typebox";
import { isPublic } from "../../directory/clients/client.ts";
import { refuse } from "../../errors.ts";
import { OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { ClientForm } from "../client-authentication/schema.ts";
import type { Oauth } from "../oauth.ts";
import { noteUsed } from "../registration/note-used.ts";
import { introspect } from "./introspect.ts";

const Answer = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  additionalProperties: true,
  description: 'RFC 7662 §2.2; `{"active": false}` for a token that is not good, or not yours to ask about.',
});

export function introspectionRoutes(app: App, oauth: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/oauth/introspect",
    config: { surface: "oauth", public: true, credentials: ["client", "none"], form: "body", cors: false },
    schema: {
      operationId: "oauth_introspect_post",
      summary: "What a token is worth",
      description:
        "RFC 7662, for the client that a token was issued to and for clients whose setting resource_for names its audience. Public clients are refused, because a client_id alone proves nothing (§2.1).",
      tags: ["oauth"],
      params: OidParams,
      body: ClientForm,
      response: {
        200: Answer,
        ...refusals("oauth", "invalid_request", "invalid_client", "unauthorized_client", "client_unreachable"),
      },
    },
    handler: async (request, reply) => {
      const { body } = request;
      const client = await authenticate(oauth, request, body, "introspect");
      if (isPublic(client.settings)) throw refuse("invalid_client", { message: "Public clients may not introspect." });
      // Who asks waits for nobody who writes.
      void noteUsed(oauth.directory, client);
      reply.header("cache-control", "no-store");
      return introspect(oauth, client, body.token);
    },
  });
}
