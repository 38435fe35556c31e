import { type Static, Type } from "typebox";
import { actorOf } from "../../directory/actor.ts";
import { findUserFor } from "../../directory/users/find-user.ts";
import { refuse } from "../../errors.ts";
import { bearer_refusals, Oid, refusals, Uuid } from "../../http/contract.ts";
import { sendList } from "../../http/send-list.ts";
import type { App } from "../../http/server.ts";
import type { Oauth } from "../oauth.ts";
import { listConsents, withdrawConsent } from "./consent.ts";

const subject_types = ["client", "user"] as const;
const reads = ["admin:customers", "read:customers"] as const;
const writes = ["admin:customers", "write:customers"] as const;
const tags = ["users"];
const user = { oid: Oid, customer_id: Type.String({ maxLength: 128 }) };
const missing = refusals("account", ...bearer_refusals, "not_found");

const Consent = Type.Object({
  client_id: Type.String({ description: "uuid of the client." }),
  client_name: Type.Optional(Type.String()),
  audience: Type.Optional(Type.String({ description: "None: what userinfo tells." })),
  scope: Type.Array(Type.String()),
  granted_at: Type.String({ format: "date-time" }),
});

export function consentRoutes(app: App, { directory }: Oauth): void {
  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/customers/users/:customer_id/consents",
    config: { surface: "account", scopes: [...reads, "user:customers"], subject_types },
    schema: {
      operationId: "customers_consents_get",
      summary: "What a user agreed to",
      description: "With user:customers alone, a person reads their own.",
      tags,
      params: Type.Object(user),
      response: { 200: Type.Array(Consent), ...missing },
    },
    handler: async (request, reply) => {
      const { account_id, bearer, params } = request;
      const { id } = await findUserFor(directory, bearer, params.customer_id, reads);
      sendList(
        request,
        reply,
        listConsents(directory, account_id, id),
        ({ client, audience, scope, granted_at }): Static<typeof Consent> => ({
          client_id: client.id,
          ...(client.name === null ? {} : { client_name: client.name }),
          ...(audience === "" ? {} : { audience }),
          scope: [...scope],
          granted_at,
        }),
      );
      return reply;
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/customers/users/:customer_id/consents/:id",
    config: { surface: "account", scopes: [...writes, "user:customers"], subject_types },
    schema: {
      operationId: "customers_consents_delete",
      summary: "Take back what a user agreed to",
      description:
        "The client's logins in their name end at once. With user:customers alone, a person does this for themselves.",
      tags,
      params: Type.Object({ ...user, id: Uuid("uuid of the client.") }),
      response: { 204: Type.Null({ description: "Done." }), ...missing },
    },
    handler: async (request, reply) => {
      const { account_id, bearer, params } = request;
      const { id } = await findUserFor(directory, bearer, params.customer_id, writes);
      if (!(await withdrawConsent(directory, account_id, id, params.id, actorOf(request)))) {
        throw refuse("not_found", { message: "This person has given that client no consent." });
      }
      return reply.code(204).send(null);
    },
  });
}
