import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { sendList } from "../../http/send-list.ts";
import type { App } from "../../http/server.ts";
import { actorOf } from "../actor.ts";
import { changeInTurn, type Directory } from "../directory.ts";
import { checkMayAssign } from "../may-hand-on.ts";
import { createRole, removeRole, replaceRole } from "./change-role.ts";
import { findRole, pagesOfRoles } from "./find-role.ts";
import { RoleBody, RoleList, RoleParams, RoleQuery, RoleView } from "./schema.ts";
import { roleView } from "./view.ts";

const tags = ["roles"];
const subject_types = ["client", "user"] as const;
const reads = { surface: "account", scopes: ["admin:accounts", "read:accounts"], subject_types } as const;
const writes = { surface: "account", scopes: ["admin:accounts", "write:accounts"], subject_types } as const;
const found = refusals("account", ...bearer_refusals);
const missing = refusals("account", ...bearer_refusals, "not_found");

export function roleRoutes(app: App, directory: Directory): void {
  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/auth/roles",
    config: reads,
    schema: {
      operationId: "aid_auths_roles_get",
      summary: "List roles",
      tags,
      params: OidParams,
      querystring: RoleQuery,
      response: { 200: RoleList, ...found },
    },
    handler: (request, reply) =>
      sendList(request, reply, pagesOfRoles(directory, request.account_id, request.query), roleView),
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/roles",
    config: writes,
    schema: {
      operationId: "aid_auths_roles_post",
      summary: "Create a role",
      description: "The caller must hold every scope of it.",
      tags,
      params: OidParams,
      body: RoleBody,
      response: { 200: RoleView, ...found },
    },
    handler: async (request) => {
      checkMayAssign(request.bearer, [request.body]);
      return roleView(await createRole(directory, request.account_id, request.body, actorOf(request)));
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/auth/roles/:role_id",
    config: reads,
    schema: {
      operationId: "aid_auths_roles_id_get",
      summary: "Get a role",
      tags,
      params: RoleParams,
      response: { 200: RoleView, ...missing },
    },
    handler: async (request) => roleView(await findRole(directory, request.account_id, request.params.role_id)),
  });

  app.route({
    method: "PUT",
    url: "/v1/accounts/:oid/auth/roles/:role_id",
    config: writes,
    schema: {
      operationId: "aid_auths_roles_id_put",
      summary: "Replace a role",
      description:
        "The caller must hold every scope that the role has before and after. If its scope stays the same, so does updated_at, and tokens go on working. No account user may hold more than 200 scopes in all.",
      tags,
      params: RoleParams,
      body: RoleBody,
      response: { 200: RoleView, ...missing },
    },
    handler: (request) =>
      changeInTurn(directory, request.account_id, async () => {
        const role = await findRole(directory, request.account_id, request.params.role_id);
        checkMayAssign(request.bearer, [role, request.body]);
        return roleView(await replaceRole(directory, role, request.body, actorOf(request)));
      }),
  });

  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/auth/roles/:role_id",
    config: writes,
    schema: {
      operationId: "aid_auths_roles_id_delete",
      summary: "Delete a role",
      description: "The caller must hold every scope of it.",
      tags,
      params: RoleParams,
      response: { 200: RoleView, ...missing },
    },
    handler: async (request) => {
      const role = await findRole(directory, request.account_id, request.params.role_id);
      checkMayAssign(request.bearer, [role]);
      return roleView(await removeRole(directory, role, actorOf(request)));
    },
  });
}
