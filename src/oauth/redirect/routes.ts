import { Type } from "typebox";
import { actorOf } from "../../directory/actor.ts";
import { accepts } from "../../http/accepts.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import type { Oauth } from "../oauth.ts";
import { RedirectBody, RedirectReply } from "./schema.ts";
import { sendOn } from "./send-on.ts";

export function redirectRoutes(app: App, oauth: Oauth): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/redirect",
    config: { surface: "account", scopes: [], subject_types: ["user"] },
    schema: {
      operationId: "aid_auths_oauth_redirect_post",
      summary: "Send a person on with an ID token",
      description:
        "The bearer is the person's own token. Answers 302, or 200 with the address where Accept asks for application/json.",
      tags: ["authenticate"],
      params: OidParams,
      body: RedirectBody,
      response: {
        200: RedirectReply,
        302: Type.Null({ description: "`Location` is the callback with `?id_token=…`." }),
        ...refusals(
          "account",
          ...bearer_refusals,
          "redirect_uri_mismatch",
          "unauthorized_client",
          "client_unreachable",
        ),
      },
    },
    handler: async (request, reply) => {
      const location = reveal(await sendOn(oauth, request.bearer, request.body, actorOf(request)));
      reply.headers({ "cache-control": "no-store", "referrer-policy": "no-referrer" });
      if (accepts(request.headers.accept, "application/json")) return { redirect_uri: location };
      return reply.redirect(location, 302);
    },
  });
}
