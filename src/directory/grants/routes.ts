import { noSuch } from "../../errors.ts";
import { type Bearer, bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { sendList } from "../../http/send-list.ts";
import type { App } from "../../http/server.ts";
import { secret } from "../../secrets/secret.ts";
import type { Account } from "../accounts/account.ts";
import { findAccount } from "../accounts/find-account.ts";
import { actorOf } from "../actor.ts";
import { lookUpClient } from "../clients/find-client.ts";
import { type Directory, grantInTurn } from "../directory.ts";
import { checkMayHandOn, checkMayStandFor } from "../may-hand-on.ts";
import { audiencesOf } from "./audience.ts";
import { changeScope, createGrant, removeGrant } from "./change-grants.ts";
import { findGrantById, listGrants, listHeld, pageGrants } from "./find-grant.ts";
import type { Grant } from "./grant.ts";
import { GrantChangeBody, GrantFilterQuery, GrantList, GrantParams, GrantView, NewGrantBody } from "./schema.ts";
import { grantView } from "./view.ts";

const subject_types = ["client", "user"] as const;
const tags = ["client grants"];
const writes = { surface: "account", scopes: ["admin:accounts", "write:accounts"], subject_types } as const;
const missing = refusals("account", ...bearer_refusals, "not_found");
const TOGETHER = "All grants of a client together may hold 100,000 characters of scopes, audiences and domains.";

export function grantRoutes(app: App, directory: Directory): void {
  const view = (grant: Grant) => grantView(directory, grant);

  /** A grant that names any alias of an audience serves all of them. */
  async function namesOf(account_id: string, audience: string): Promise<readonly string[]> {
    const account = await findAccount(directory, account_id);
    return audiencesOf(account, directory.public_url, audience);
  }

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/auth/client-grants",
    config: { surface: "account", scopes: ["admin:accounts", "read:accounts"], subject_types },
    schema: {
      operationId: "aid_auths_client_grants_get",
      summary: "List client grants",
      tags,
      params: OidParams,
      querystring: GrantFilterQuery,
      response: { 200: GrantList, ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request, reply) => {
      const { client_id, audience } = request.query;
      const client = client_id === undefined ? undefined : await lookUpClient(directory, request.account_id, client_id);
      if (client_id !== undefined && !client) return [];
      const audiences = audience === undefined ? undefined : await namesOf(request.account_id, audience);
      sendList(request, reply, pageGrants(directory, request.account_id, { audiences, client_id: client?.id }), view);
      return reply;
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/client-grants",
    config: writes,
    schema: {
      operationId: "aid_auths_client_grants_post",
      summary: "Create a client grant",
      description: `The caller must hold every scope that it gives. A second one without \`oidc\` for the same client, audience and type is refused: add the scopes to the existing one. ${TOGETHER}`,
      tags,
      params: OidParams,
      body: NewGrantBody,
      response: { 200: GrantView, ...missing },
    },
    handler: async (request) => {
      const { account_id, bearer, body } = request;
      const client = await lookUpClient(directory, account_id, body.client_id);
      if (!client) throw noSuch("client");
      await checkMayStandFor(directory, account_id, bearer, client.settings);
      const { audience, scope, type = "any" } = body;
      const oidc = body.oidc && { ...body.oidc, client_secret: secret(body.oidc.client_secret) };
      return grantInTurn(directory, account_id, async () => {
        const held = await listHeld(directory, client);
        const permit = (account: Account) => checkMayHandOn(directory, account, bearer, [...held, { audience, scope }]);
        return view(await createGrant(directory, { client, audience, scope, type, oidc }, actorOf(request), permit));
      });
    },
  });

  app.route({
    method: "PATCH",
    url: "/v1/accounts/:oid/auth/client-grants/:id",
    config: writes,
    schema: {
      operationId: "aid_auths_client_grants_id_patch",
      summary: "Change the scopes of a client grant",
      description: `Tokens that hold a removed scope stop working. The caller must hold every scope that the grant has before and after. ${TOGETHER}`,
      tags,
      params: GrantParams,
      body: GrantChangeBody,
      response: { 200: GrantView, ...missing },
    },
    handler: async (request) => {
      const { account_id, bearer, body } = request;
      const grant = await findGrantById(directory, account_id, request.params.id);
      const after = { audience: grant.audience, scope: body.scope };
      return grantInTurn(directory, account_id, async () => {
        const held = await heldBeside(directory, bearer, grant);
        const permit = (account: Account) => checkMayHandOn(directory, account, bearer, [...held, after]);
        return view(await changeScope(directory, grant, body.scope, actorOf(request), permit));
      });
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/auth/client-grants/:id",
    config: writes,
    schema: {
      operationId: "aid_auths_client_grants_id_delete",
      summary: "Delete a client grant",
      description:
        "Nothing new is issued under it, and what was issued stops. The caller must hold every scope it has.",
      tags,
      params: GrantParams,
      response: { 200: GrantView, ...missing },
    },
    handler: async (request) => {
      const { account_id, bearer } = request;
      const grant = await findGrantById(directory, account_id, request.params.id);
      return grantInTurn(directory, account_id, async () => {
        const held = await heldBeside(directory, bearer, grant);
        checkMayHandOn(directory, await findAccount(directory, account_id), bearer, held);
        return view(await removeGrant(directory, grant, actorOf(request)));
      });
    },
  });
}

/** What the client of a grant holds, the grant among it. @throws 403 insufficient_scope, for whom the client stands. */
async function heldBeside(
  directory: Directory,
  bearer: Bearer,
  { account_id, client_id }: Grant,
): Promise<readonly Grant[]> {
  const client = await lookUpClient(directory, account_id, client_id);
  if (!client) return listGrants(directory, account_id, { client_id });
  await checkMayStandFor(directory, account_id, bearer, client.settings);
  return listHeld(directory, client);
}
