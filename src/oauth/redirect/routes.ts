import { Type } from "typebox";
import { recordDeed } from "../../audit/audit.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { actorOf } from "../../directory/actor.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findUser } from "../../directory/users/find-user.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { malformed } from "../../http/error-reply.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { issueIdToken } from "../../tokens/issue.ts";
import { acrOf, issuingOf } from "../authorization-for.ts";
import type { Oauth } from "../oauth.ts";
import { addToQuery } from "../redirect-address.ts";

const RedirectBody = Type.Object({
  redirect_uri: Type.String({ pattern: "^https?://.*", description: "Exactly one of the client's callbacks." }),
  custom_claims: Type.Optional(
    Type.Record(Type.String({ pattern: "^.{1,64}$" }), Type.String(), {
      maxProperties: 50,
      description: "Each comes with the prefix ext_. The client's setting custom_claims lists the names it may use.",
    }),
  ),
  claims: Type.Optional(Type.Array(Type.Enum(["name", "email"]), { maxItems: 2, uniqueItems: true })),
});

const RedirectReply = Type.Object({ redirect_uri: Type.String({ description: "With id_token added to its query." }) });

export function redirectRoutes(app: App, { directory, tokens }: Oauth): void {
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
        ...refusals("account", ...bearer_refusals, "redirect_uri_mismatch", "unauthorized_client"),
      },
    },
    handler: async (request, reply) => {
      const { account_id, bearer, body } = request;
      const { storage } = directory;
      const account = await findAccount(directory, account_id);
      const client = await findClient(directory, account_id, bearer.client_uuid);
      const redirect_uri = matchRedirectUri(client, body.redirect_uri);
      const claims = customClaims(body.custom_claims ?? {}, client.settings.custom_claims);
      const { id, email, email_verified_at, name } = await findUser(directory, account_id, bearer.subject);
      const wanted = body.claims ?? [];
      const amr = bearer.amr ?? [];
      const now = storage.now();
      const id_token = await issueIdToken(
        tokens,
        {
          issuing: issuingOf(directory, account),
          sid: bearer.sid,
          subject: {
            type: "user",
            id,
            ...(wanted.includes("email") && email ? { email, email_verified: email_verified_at !== null } : {}),
            ...(wanted.includes("name") && name ? { name } : {}),
            auth_time: bearer.auth_time ?? Math.floor(now / 1000),
            amr,
            acr: acrOf(amr),
          },
          client_id: client.client_id,
          client_uuid: client.id,
          audience: redirect_uri,
          scope: [],
          id_token_alg: client.settings.id_token_signed_response_alg,
        },
        { audience: redirect_uri, lifetime: account.settings.redirect_id_token_lifetime, claims },
        now,
      );
      const deed = { account_id, action: "auth.redirect", entity: client.id, now: instant(now) };
      await storage.write((tx) => recordDeed(tx, { ...deed, actor: actorOf(request) }));
      const location = reveal(addToQuery(redirect_uri, [["id_token", reveal(id_token)]]));
      reply.headers({ "cache-control": "no-store", "referrer-policy": "no-referrer" });
      if (/\bapplication\/json\b/i.test(request.headers.accept ?? "")) return { redirect_uri: location };
      return reply.redirect(location, 302);
    },
  });
}

/** @throws 400 invalid_request naming what the client may not say. */
function customClaims(given: Readonly<Record<string, string>>, allowed: readonly string[]): Record<string, string> {
  const foreign = Object.keys(given).filter((name) => !allowed.includes(name));
  const message = "is not among the client's custom_claims";
  if (foreign.length > 0)
    throw malformed(foreign.map((name) => ({ path: `custom_claims.${name}`, code: "unknown", message })));
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [`ext_${name}`, value]));
}
