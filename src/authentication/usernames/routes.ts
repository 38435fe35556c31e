import { findAccount } from "../../directory/accounts/find-account.ts";
import { actorOf } from "../../directory/actor.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { withoutNulls } from "../../directory/entity.ts";
import type { EndLogins } from "../../directory/users/remove-user.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { secret } from "../../secrets/secret.ts";
import { changeUsername, createUsername, findUsername, removeUsername, renameUsername } from "./change-usernames.ts";
import { NewUsernameBody, RenameBody, UsernameBody, UsernameParams, UsernameView } from "./schema.ts";
import type { Username } from "./username.ts";

const tags = ["users with passwords"];
const writes = {
  surface: "account",
  scopes: ["admin:accounts", "write:accounts", "write:accounts:/auth/users"],
  subject_types: ["client", "user"],
} as const;
const found = refusals("account", ...bearer_refusals);
const missing = refusals("account", ...bearer_refusals, "not_found");

export interface UsernameDeps {
  readonly directory: Directory;
  /** Ends a person's logins with their password; tokens belong to another wing. */
  readonly endLogins: EndLogins;
}

export function usernameRoutes(app: App, { directory, endLogins }: UsernameDeps): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/users",
    config: writes,
    schema: {
      operationId: "aid_auth_users_post",
      summary: "Create a user with a name and a password",
      description:
        "If links name a customer, this sets their password, and their logins end. Otherwise it creates a new customer, or a new company if the client logs companies in.",
      tags,
      params: OidParams,
      body: NewUsernameBody,
      response: { 200: UsernameView, ...found },
    },
    handler: async (request) => {
      const { account_id, bearer, body } = request;
      const account = await findAccount(directory, account_id);
      // Whom the calling client can log in.
      const client = await lookUpClient(directory, account_id, bearer.client_uuid);
      const type = client?.settings.user_type === "company" ? "company" : "customer";
      const fields = { ...body, type, password: secret(body.password) } as const;
      return view(await createUsername(directory, account, fields, actorOf(request), endLogins));
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/accounts/:oid/auth/users/:username",
    config: writes,
    schema: {
      operationId: "aid_auth_users_username_put",
      summary: "Set a user's password",
      description:
        "Also sets links and mfa, if they are sent; an mfa of null switches the second factor off. The name stays that of the same customer. The person's other logins end.",
      tags,
      params: UsernameParams,
      body: UsernameBody,
      response: { 200: UsernameView, ...missing },
    },
    handler: async (request) => {
      const { account_id, body, params } = request;
      const account = await findAccount(directory, account_id);
      const before = await findUsername(directory, account_id, params.username);
      const fields = { ...body, password: secret(body.password) };
      return view(await changeUsername(directory, account, before, fields, actorOf(request), endLogins));
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/auth/users/:username",
    config: writes,
    schema: {
      operationId: "aid_auth_users_username_delete",
      summary: "Delete a user's name and password",
      description:
        "The person's logins end. Binding codes then go where their other names say. The last name takes the password with it, and the user if they were nothing but this name; a customer stays.",
      tags,
      params: UsernameParams,
      response: { 200: UsernameView, ...missing },
    },
    handler: async (request) => {
      const account = await findAccount(directory, request.account_id);
      const before = await findUsername(directory, request.account_id, request.params.username);
      return view(await removeUsername(directory, account, before, actorOf(request), endLogins));
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/auth/users/:username/change_username",
    config: { surface: "account", scopes: ["admin:accounts"], subject_types: ["client", "user"] },
    schema: {
      operationId: "aid_auth_users_username_change_username_post",
      summary: "Give a user another name",
      tags,
      params: UsernameParams,
      body: RenameBody,
      response: { 200: UsernameView, ...missing },
    },
    handler: async (request) => {
      const before = await findUsername(directory, request.account_id, request.params.username);
      return view(await renameUsername(directory, before, request.body.username, actorOf(request)));
    },
  });
}

function view({ account_id: _account, user_id: _user, ...username }: Username) {
  return { ...withoutNulls(username), links: username.links.map((link) => ({ ...link })) };
}
