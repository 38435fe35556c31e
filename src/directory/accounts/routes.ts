import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { actorOf } from "../actor.ts";
import type { Directory } from "../directory.ts";
import { changeSettings } from "./change-settings.ts";
import { mayChange } from "./check-may-change.ts";
import { findAccount } from "./find-account.ts";
import { AccountSettings, AccountSettingsChange } from "./settings.ts";

const tags = ["settings"];
const subject_types = ["client", "user"] as const;

export function accountRoutes(app: App, directory: Directory): void {
  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/auth/settings",
    config: { surface: "account", scopes: ["admin:accounts", "read:accounts"], subject_types },
    schema: {
      operationId: "auth_settings_get",
      summary: "Get the account's settings",
      tags,
      params: OidParams,
      response: { 200: AccountSettings, ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request) => (await findAccount(directory, request.account_id)).settings,
  });

  app.route({
    method: "PATCH",
    url: "/v1/accounts/:oid/auth/settings",
    config: { surface: "account", scopes: ["admin:accounts", "write:accounts"], subject_types },
    schema: {
      operationId: "auth_settings_patch",
      summary: "Change the account's settings",
      description: "Sets the fields it names and leaves the rest.",
      tags,
      params: OidParams,
      body: AccountSettingsChange,
      response: { 200: AccountSettings, ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request) => {
      const { account_id, bearer, body } = request;
      const permit = await mayChange(directory, account_id, bearer, body);
      return (await changeSettings(directory, account_id, body, actorOf(request), permit)).settings;
    },
  });
}
