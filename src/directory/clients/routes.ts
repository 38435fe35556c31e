import type { FastifyRequest } from "fastify";
import { refuse } from "../../errors.ts";
import { type Bearer, bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { sendList } from "../../http/send-list.ts";
import type { App } from "../../http/server.ts";
import { reveal } from "../../secrets/secret.ts";
import { findAccount } from "../accounts/find-account.ts";
import { actorOf } from "../actor.ts";
import type { Directory } from "../directory.ts";
import { listHeld } from "../grants/find-grant.ts";
import { checkMayAssign, checkMayHandOn, checkMayStandFor, standsForPeople } from "../may-hand-on.ts";
import { changeClient, removeClient, rotateSecret } from "./change-client.ts";
import type { Client } from "./client.ts";
import { type CreatedClient, createClient } from "./create-client.ts";
import { findClientById, listClients } from "./find-client.ts";
import {
  ClientChangeBody,
  ClientList,
  ClientParams,
  ClientView,
  ClientWithSecret,
  NewClientBody,
  RotateQuery,
} from "./schema.ts";
import type { ClientSettings } from "./settings.ts";
import { clientView, listedClient } from "./view.ts";

const subject_types = ["client", "user"] as const;
const tags = ["clients"];
const reads = { surface: "account", scopes: ["admin:accounts", "read:accounts"], subject_types } as const;
const writes = { surface: "account", scopes: ["admin:accounts", "write:accounts"], subject_types } as const;
const missing = refusals("account", ...bearer_refusals, "not_found");
/** See checkMayStandFor. */
const STANDS_FOR =
  "For a first-party client that logs account users in, the caller must hold admin:accounts and every scope that any account user holds.";

export function clientRoutes(app: App, directory: Directory): void {
  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/auth/clients",
    config: reads,
    schema: {
      operationId: "aid_auth_clients_get",
      summary: "List clients",
      tags,
      params: OidParams,
      response: { 200: ClientList, ...refusals("account", ...bearer_refusals) },
    },
    handler: (request, reply) => sendList(request, reply, listClients(directory, request.account_id), listedClient),
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/clients",
    config: writes,
    schema: {
      operationId: "aid_auth_clients_post",
      summary: "Create a client",
      description: `Answers with the only copy of the client's secret. ${STANDS_FOR}`,
      tags,
      params: OidParams,
      body: NewClientBody,
      response: { 200: ClientWithSecret, ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request, reply) => {
      const { client_id, name, description, ...settings } = request.body ?? {};
      await checkMayStandFor(directory, request.account_id, request.bearer, settings);
      const input = { client_id, name, description, settings };
      reply.header("cache-control", "no-store");
      return withSecret(directory, await createClient(directory, request.account_id, input, actorOf(request)));
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/auth/clients/:id",
    config: reads,
    schema: {
      operationId: "aid_auths_clients_id_get",
      summary: "Get a client",
      description: "`secrets` says when each of its secrets was last used, and when one that was rotated ends.",
      tags,
      params: ClientParams,
      response: { 200: ClientView, ...missing },
    },
    handler: async (request) => clientView(directory, await findAsked(directory, request, request.params.id)),
  });

  app.route({
    method: "PATCH",
    url: "/v1/accounts/:oid/auth/clients/:id",
    config: writes,
    schema: {
      operationId: "auth_clients_id_patch",
      summary: "Change a client",
      description: `Sets the fields it names. At a client that registered itself, or that a document describes, the change stays, whatever the client says of itself, until \`set_by_account\` gives it back. The caller must hold every scope that the client's grants hold. ${STANDS_FOR}`,
      tags,
      params: ClientParams,
      body: ClientChangeBody,
      response: { 200: ClientView, ...missing },
    },
    handler: async (request) => {
      const { name, description, set_by_account, ...settings } = request.body;
      const client = await findTrusted(directory, request, request.params.id, settings);
      const change = { name, description, settings, set_by_account };
      const compared = standsForPeople(client.settings, { ...client.settings, ...settings });
      const permit = (...kinds: readonly ClientSettings[]) => {
        if (!compared && standsForPeople(...kinds)) throw becameAnother(request.bearer);
      };
      return clientView(directory, await changeClient(directory, client, change, actorOf(request), permit));
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/auth/clients/:id",
    config: writes,
    schema: {
      operationId: "aid_auths_clients_id_delete",
      summary: "Delete a client",
      description: `Nothing new is issued to it, and what was issued stops. The caller must hold every scope it holds. ${STANDS_FOR}`,
      tags,
      params: ClientParams,
      response: { 200: ClientView, ...missing },
    },
    handler: async (request) => {
      const client = await findTrusted(directory, request, request.params.id);
      return clientView(directory, await removeClient(directory, client, actorOf(request)));
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/clients/:id/rotate-secret",
    config: writes,
    schema: {
      operationId: "aid_auths_clients_id_rotate_post",
      summary: "Rotate a client's secret",
      description: `The caller must hold every scope that the client's grants hold. ${STANDS_FOR}`,
      tags,
      params: ClientParams,
      querystring: RotateQuery,
      response: { 200: ClientWithSecret, ...missing },
    },
    handler: async (request, reply) => {
      const client = await findTrusted(directory, request, request.params.id);
      reply.header("cache-control", "no-store");
      const { overlap_seconds } = request.query;
      return withSecret(directory, await rotateSecret(directory, client, overlap_seconds, actorOf(request)));
    },
  });
}

/** The client of a path. Whoever may read clients is told its id where they name it by its client_id. */
function findAsked(directory: Directory, { account_id, bearer }: FastifyRequest, id: string): Promise<Client> {
  return findClientById(
    directory,
    account_id,
    id,
    reads.scopes.some((scope) => bearer.scope.includes(scope)),
  );
}

/**
 * A client that the bearer may change: it holds every scope that the client holds, and those of whom it stands for, or
 * would stand for with these settings.
 */
async function findTrusted(
  directory: Directory,
  request: FastifyRequest,
  id: string,
  settings: Partial<ClientSettings> = {},
): Promise<Client> {
  const { account_id, bearer } = request;
  const client = await findAsked(directory, request, id);
  const account = await findAccount(directory, account_id);
  checkMayHandOn(directory, account, bearer, await listHeld(directory, client));
  await checkMayStandFor(directory, account_id, bearer, client.settings, { ...client.settings, ...settings });
  return client;
}

/** Of a client that stands for account users since it was looked at: whoever may have a say over it asks once more. */
function becameAnother(bearer: Bearer): Error {
  checkMayAssign(bearer, [{ scope: ["admin:accounts"] }]);
  return refuse("temporarily_unavailable", { message: "Somebody else has just changed the client.", retry_after: 1 });
}

async function withSecret(directory: Directory, { client, client_secret }: CreatedClient) {
  return {
    ...(await clientView(directory, client)),
    ...(client_secret ? { client_secret: reveal(client_secret) } : {}),
  };
}
