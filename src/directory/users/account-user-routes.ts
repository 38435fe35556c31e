import type { Static } from "typebox";
import { listEvents } from "../../audit/list-events.ts";
import { refuseField } from "../../errors.ts";
import { type Bearer, bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import { sendList } from "../../http/send-list.ts";
import type { App } from "../../http/server.ts";
import { findAccount } from "../accounts/find-account.ts";
import { actorOf } from "../actor.ts";
import { type Directory, giveInTurn } from "../directory.ts";
import { withoutNulls } from "../entity.ts";
import { checkMayAssign } from "../may-hand-on.ts";
import { findRoles } from "../roles/find-role.ts";
import { roleView } from "../roles/view.ts";
import type { AccountUser } from "./account-user.ts";
import {
  AccountUserChangeBody,
  AccountUserList,
  AccountUserParams,
  AccountUserQuery,
  AccountUserView,
  AuditEventList,
  type Configuration,
  ExpandQuery,
  NewAccountUserBody,
} from "./account-user-schema.ts";
import type { AccountUserRow } from "./account-user-store.ts";
import { changeAccountUser } from "./change-account-user.ts";
import { checkLengthOf } from "./check-length.ts";
import { createUser } from "./create-user.ts";
import { checkIsAccountUser, findAccountUser } from "./find-account-user.ts";
import { openHeldRoles, openRoleTexts, pagesOfAccountUsers } from "./list-account-users.ts";
import { type EndLogins, removeUser } from "./remove-user.ts";

const tags = ["account users"];
const subject_types = ["client", "user"] as const;
const reads = { surface: "account", scopes: ["admin:accounts", "read:accounts"], subject_types } as const;
const writes = { surface: "account", scopes: ["admin:accounts", "write:accounts"], subject_types } as const;
const found = refusals("account", ...bearer_refusals);
const missing = refusals("account", ...bearer_refusals, "not_found");
const ACTIVITIES = 100;

export interface AccountUserDeps {
  readonly directory: Directory;
  readonly endLogins: EndLogins;
  /** Which second factors a user has; another wing keeps them. */
  configurationOf(account_id: string, user_ids: readonly string[]): Promise<ReadonlyMap<string, Configuration>>;
}

interface Given {
  readonly scope?: readonly string[];
  readonly roles?: readonly { readonly id: string }[];
}

export function accountUserRoutes(app: App, { directory, endLogins, configurationOf }: AccountUserDeps): void {
  async function* showAll(account_id: string, query: Static<typeof AccountUserQuery>) {
    const rolesOf = openHeldRoles(directory, account_id);
    for await (const users of pagesOfAccountUsers(directory, account_id, query)) {
      const ids = users.map(({ id }) => id);
      const configurations = await configurationOf(account_id, ids);
      const held = query.expand === undefined ? undefined : await rolesOf(ids);
      yield users.map((user) => ({
        shown: accountUserView(user, configurations.get(user.id)),
        role_ids: held?.get(user.id),
      }));
    }
  }

  async function showOne(user: AccountUser, expand: Static<typeof ExpandQuery>["expand"]) {
    const configuration = (await configurationOf(user.account_id, [user.id])).get(user.id);
    const shown = accountUserView(user, configuration);
    return expand === undefined ? shown : { ...shown, roles: user.roles.map(roleView) };
  }

  /** @throws 403 unless the bearer holds everything that the user would hold, and holds now; 400 for too much of it. */
  async function rolesToAssign(
    account_id: string,
    bearer: Bearer,
    body: Given,
    before?: AccountUser,
  ): Promise<readonly string[] | undefined> {
    const role_ids = body.roles?.map(({ id }) => id);
    // Before they are read: a hundred may be 4 MB.
    await checkLengthOf(directory, account_id, role_ids ?? [], before?.roles ?? []);
    const roles = await findRoles(directory, account_id, role_ids ?? []);
    const held = before ? [before, ...before.roles] : [];
    checkMayAssign(bearer, [{ scope: body.scope ?? [] }, ...roles, ...held]);
    return role_ids;
  }

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/management/users",
    config: reads,
    schema: {
      operationId: "aid_accounts_aid_mgmnt_users_get",
      summary: "List account users",
      description: "In the order in which they were created.",
      tags,
      params: OidParams,
      querystring: AccountUserQuery,
      response: { 200: AccountUserList, ...found },
    },
    handler: (request, reply) => {
      const { account_id, query } = request;
      const textsOf = openRoleTexts(directory, account_id);
      sendList(request, reply, showAll(account_id, query), ({ shown, role_ids }) =>
        role_ids === undefined ? shown : withRoles(shown, textsOf(role_ids)),
      );
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/management/users",
    config: writes,
    schema: {
      operationId: "aid_accounts_aid_mgmnt_users_post",
      summary: "Create an account user",
      description: "The caller must hold every scope that the user gets, by itself and through roles.",
      tags,
      params: OidParams,
      querystring: ExpandQuery,
      body: NewAccountUserBody,
      response: { 200: AccountUserView, ...missing },
    },
    handler: async (request) => {
      const { account_id, bearer, body } = request;
      const account = await findAccount(directory, account_id);
      if (body.authentication_type === "external" && account.settings.jwks === null)
        throw refuseField("authentication_type", "jwks", "needs the account's setting jwks");
      const { roles = [], scope = [], ...fields } = body;
      const create = async () => {
        const role_ids = await rolesToAssign(account_id, bearer, body);
        const input = { ...fields, type: "account_user" as const, verified: true, scope, role_ids };
        return createUser(directory, account, input, actorOf(request));
      };
      // Who is new has no roles but these, which may grow meanwhile.
      const { id } = await (roles.length > 0 ? giveInTurn(directory, account_id, undefined, create) : create());
      return showOne(await findAccountUser(directory, account_id, id), request.query.expand);
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/accounts/:oid/management/users/:uid",
    config: writes,
    schema: {
      operationId: "aid_accounts_aid_mgmnt_users_put",
      summary: "Change an account user",
      description: "Sets the fields it names. The caller must hold every scope that the user has before and after.",
      tags,
      params: AccountUserParams,
      querystring: ExpandQuery,
      body: AccountUserChangeBody,
      response: { 200: AccountUserView, ...missing },
    },
    handler: async (request) => {
      const { account_id, bearer, body } = request;
      const { uid } = request.params;
      const { roles, ...fields } = body;
      const change = async () => {
        const user = await findAccountUser(directory, account_id, uid);
        const role_ids = await rolesToAssign(account_id, bearer, body, user);
        return changeAccountUser(directory, user, { ...fields, role_ids }, actorOf(request));
      };
      // What they hold with it is looked at in the same turn: what they get meanwhile would not count.
      const gives = roles !== undefined || body.scope !== undefined;
      const changed = await (gives ? giveInTurn(directory, account_id, uid, change) : change());
      return showOne(changed, request.query.expand);
    },
  });

  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/management/users/:uid",
    config: writes,
    schema: {
      operationId: "aid_accounts_aid_mgmnt_users_delete",
      summary: "Delete an account user",
      description: "Nothing new is issued for them, and what was issued stops.",
      tags,
      params: AccountUserParams,
      querystring: ExpandQuery,
      response: { 200: AccountUserView, ...missing },
    },
    handler: async (request) => {
      const { account_id, bearer } = request;
      const user = await findAccountUser(directory, account_id, request.params.uid);
      checkMayAssign(bearer, [user, ...user.roles]);
      const { deleted_at, deleted_by, updated_at } = await removeUser(directory, user, actorOf(request), endLogins);
      return showOne({ ...user, deleted_at, deleted_by, updated_at }, request.query.expand);
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/management/users/:uid/activities",
    config: reads,
    schema: {
      operationId: "aid_accounts_aid_mgmnt_users_activities_get",
      summary: "What an account user did",
      description: "The newest 100 events.",
      tags,
      params: AccountUserParams,
      response: { 200: AuditEventList, ...missing },
    },
    handler: async ({ account_id, params }) => {
      await checkIsAccountUser(directory, account_id, params.uid);
      const events = await listEvents(directory.storage.read, account_id, params.uid, ACTIVITIES);
      return events.map(({ account_id: _account, outcome, entity, actor, ...event }) => ({
        ...event,
        entity: entity ?? account_id,
        ...(actor === null ? {} : { actor }),
        context: { ...event.context, outcome },
      }));
    },
  });
}

function accountUserView(user: AccountUserRow, configuration: Configuration | undefined) {
  const { id, email, name, scope, profile, last_seen_at } = user;
  const { created_at, created_by, updated_at, deleted_at, deleted_by } = user;
  const { authentication_type, agreement } = profile;
  return {
    ...withoutNulls({ id, created_at, created_by, updated_at, deleted_at, deleted_by, name, last_seen_at }),
    email: email ?? "",
    scope: [...scope],
    ...(authentication_type ? { authentication_type } : {}),
    ...(agreement ? { agreement } : {}),
    ...(configuration ? { configuration } : {}),
  };
}

/** The JSON of a user whose roles are read while they are sent. */
async function* withRoles(shown: object, roles: AsyncIterable<string>): AsyncGenerator<string> {
  yield `${JSON.stringify(shown).slice(0, -1)},"roles":[`;
  let before = "";
  for await (const role of roles) {
    yield before + role;
    before = ",";
  }
  yield "]}";
}
