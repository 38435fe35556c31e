import { Type } from "typebox";
import { noSuch, refuse, refuseField } from "../../errors.ts";
import { type Bearer, bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { findAccount } from "../accounts/find-account.ts";
import { actorOf } from "../actor.ts";
import type { Directory } from "../directory.ts";
import { withoutNulls } from "../entity.ts";
import { createUser, type NewUser } from "./create-user.ts";
import { findUser, userExists } from "./find-user.ts";
import { type EndLogins, removeUser } from "./remove-user.ts";
import { LONGEST_NAME, NewUserBody, UserExistsQuery, UserParams, UserView } from "./schema.ts";
import type { User } from "./user.ts";

const subject_types = ["client", "user"] as const;
const tags = ["users"];
const reads = { surface: "account", scopes: ["admin:customers", "read:customers"], subject_types } as const;
const missing = refusals("account", ...bearer_refusals, "not_found");

export interface UserDeps {
  readonly directory: Directory;
  readonly endLogins: EndLogins;
  /** Hashes passwords, which another wing keeps; what it answers stores them. */
  preparePasswords(
    account_id: string,
    given: { readonly password?: string; readonly pin?: string },
  ): Promise<NonNullable<NewUser["within"]>>;
  /** @throws 429 too_many_requests when the client asked too often who exists. */
  chargeQuestion(bearer: Bearer): Promise<void>;
}

/** What they enter counts as verified. */
const VERIFIERS = ["admin:customers", "write:customers"];
const READERS = ["admin:customers", "read:customers"];
const PASSWORD_SCOPES = ["write:accounts:/auth/users", "write:accounts", "admin:accounts"];

export function userRoutes(app: App, { directory, endLogins, preparePasswords, chargeQuestion }: UserDeps): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/customers/users",
    config: {
      surface: "account",
      scopes: ["admin:customers", "write:customers", "create:customers:/users"],
      subject_types,
    },
    schema: {
      operationId: "aid_customers_post",
      summary: "Create a user",
      description:
        "With admin:customers or write:customers, address and number count as verified. Others log nobody in before they are, so there is no password or PIN beside them: it comes with customers/change_password, once an administrator has verified them, or a user name.",
      tags,
      params: OidParams,
      body: NewUserBody,
      response: { 200: UserView, ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request) => {
      const { type = "customer", first_name, last_name, password, pin, ...fields } = request.body;
      const secrets = { ...(password === undefined ? {} : { password }), ...(pin === undefined ? {} : { pin }) };
      const guarded = Object.keys(secrets).length > 0;
      if (guarded && !PASSWORD_SCOPES.some((scope) => request.bearer.scope.includes(scope))) {
        throw refuse("insufficient_scope", {
          message: "Setting a password or PIN needs write:accounts:/auth/users too.",
          scopes: PASSWORD_SCOPES,
        });
      }
      if (fields.email === undefined && fields.phone_number === undefined && fields.customer_id === undefined) {
        throw refuseField("email", "required", "or phone_number or customer_id is required");
      }
      const name =
        fields.name ?? ([first_name, last_name].filter(Boolean).join(" ").slice(0, LONGEST_NAME) || undefined);
      const verified = request.bearer.scope.some((scope) => VERIFIERS.includes(scope));
      if (guarded && !verified && (fields.email !== undefined || fields.phone_number !== undefined)) {
        throw refuse("insufficient_scope", {
          message:
            "With create:customers:/users alone, address and number are not verified, so nobody could log in by them with a password or PIN.",
          scopes: VERIFIERS,
        });
      }
      const account = await findAccount(directory, request.account_id);
      const within = guarded ? await preparePasswords(request.account_id, secrets) : undefined;
      return view(await createUser(directory, account, { ...fields, type, name, verified, within }, actorOf(request)));
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/customers/users/:customer_id",
    config: reads,
    schema: {
      operationId: "aid_customers_cid_get",
      summary: "Get a user",
      tags,
      params: UserParams,
      response: { 200: UserView, ...missing },
    },
    handler: async (request) => view(await findCustomer(directory, request.account_id, request.params.customer_id)),
  });

  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/customers/users/:customer_id",
    config: { surface: "account", scopes: ["admin:customers", "write:customers"], subject_types },
    schema: {
      operationId: "aid_customers_cid_delete",
      summary: "Delete a user",
      description: "Nothing new is issued for them, and what was issued stops.",
      tags,
      params: UserParams,
      response: { 200: UserView, ...missing },
    },
    handler: async (request) => {
      const user = await findCustomer(directory, request.account_id, request.params.customer_id);
      return view(await removeUser(directory, user, actorOf(request), endLogins));
    },
  });

  app.route({
    method: "HEAD",
    url: "/v1/accounts/:oid/customers/users",
    config: {
      surface: "account",
      scopes: [...READERS, "public:customers"],
      subject_types,
      swagger: { exposeHeadRoute: true },
    },
    schema: {
      operationId: "aid_customers_head",
      summary: "Whether a user exists",
      description: "With `public:customers` alone only where the account's setting `public_user_exists` is on.",
      tags,
      params: OidParams,
      querystring: UserExistsQuery,
      response: {
        200: Type.Null({ description: "There is one." }),
        ...refusals("account", ...bearer_refusals, "not_found", "too_many_requests"),
      },
    },
    handler: async (request, reply) => {
      const { type, ...identifiers } = request.query;
      const account = await findAccount(directory, request.account_id);
      if (!READERS.some((scope) => request.bearer.scope.includes(scope))) {
        if (!account.settings.public_user_exists) throw refuse("insufficient_scope", { scopes: READERS });
        await chargeQuestion(request.bearer);
      }
      const types = type ? [type] : (["customer", "company"] as const);
      if (!(await userExists(directory, account, { ...identifiers, types }))) throw refuse("not_found");
      return reply.send(null);
    },
  });
}

/** Account users are not customers: they are not found here. */
async function findCustomer(directory: Directory, account_id: string, name: string): Promise<User> {
  const user = await findUser(directory, account_id, name);
  if (user.type === "account_user") throw noSuch("user");
  return user;
}

function view(entity: User) {
  const {
    account_id: _account,
    email_verified_at: _email,
    phone_verified_at: _phone,
    second_factor: _factor,
    ...user
  } = entity;
  return withoutNulls({ ...user, customer_id: user.customer_id ?? user.id });
}
