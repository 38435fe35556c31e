import { Type } from "typebox";
import { noSuch, refuse, refuseField } from "../../errors.ts";
import { type Bearer, bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import type { Account } from "../accounts/account.ts";
import { findAccount } from "../accounts/find-account.ts";
import { actorOf } from "../actor.ts";
import type { Directory } from "../directory.ts";
import { withoutNulls } from "../entity.ts";
import { changeCustomer } from "./change-customer.ts";
import { createUser, type NewUser } from "./create-user.ts";
import { type ActsAsStranger, findCustomerFor } from "./find-customer-for.ts";
import { findUser, lookUpNameParts, userExists } from "./find-user.ts";
import { loginAtHand } from "./logins-ended.ts";
import { type EndLogins, removeUser } from "./remove-user.ts";
import { NewUserBody, UserBody, UserExistsQuery, UserParams, UserView } from "./schema.ts";
import type { User } from "./user.ts";

const subject_types = ["client", "user"] as const;
const tags = ["users"];
const missing = refusals("account", ...bearer_refusals, "not_found");

export interface UserDeps {
  readonly directory: Directory;
  readonly endLogins: EndLogins;
  readonly actsAsStranger: ActsAsStranger;
  /** Hashes passwords, which another wing keeps; what it answers stores them, and forgets guesses at those of before. */
  preparePasswords(
    account_id: string,
    given: { readonly password?: string; readonly pin?: string },
  ): Promise<NonNullable<NewUser["within"]>>;
  /** … for somebody who is there already, who is told. */
  prepareReplacements(
    account: Account,
    given: { readonly password?: string; readonly pin?: string },
  ): Promise<NonNullable<NewUser["within"]>>;
  /** @throws 429 too_many_requests when the client asked too often who exists. */
  chargeQuestion(bearer: Bearer): Promise<void>;
}

/** What they enter counts as verified. */
const VERIFIERS = ["admin:customers", "write:customers"];
const READERS = ["admin:customers", "read:customers"];
const AT_OWN_CLIENTS =
  "named as their client knows them. A client that asked them for consent, because it is not `first_party`, or at which they allowed a device, gets 403.";
const PASSWORD_SCOPES = ["write:accounts:/auth/users", "write:accounts", "admin:accounts"];

export function userRoutes(app: App, deps: UserDeps): void {
  const { directory, endLogins, preparePasswords, prepareReplacements, chargeQuestion } = deps;
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
        "With admin:customers or write:customers, address and number count as verified. Other callers' do not: they log nobody in before they are verified, and may not come with a password or PIN. Those are set later, by customers/change_password once an administrator has verified the address, or with a user name.",
      tags,
      params: OidParams,
      body: NewUserBody,
      response: { 200: UserView, ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request) => {
      const { type = "customer", password, pin, ...fields } = request.body;
      const secrets = secretsOf({ password, pin });
      if (secrets) checkMaySetSecrets(request.bearer);
      if (fields.email === undefined && fields.phone_number === undefined && fields.customer_id === undefined) {
        throw refuseField("email", "required", "or phone_number or customer_id is required");
      }
      const verified = request.bearer.scope.some((scope) => VERIFIERS.includes(scope));
      if (secrets && !verified && (fields.email !== undefined || fields.phone_number !== undefined)) {
        throw refuse("insufficient_scope", {
          message:
            "With create:customers:/users alone, address and number are not verified, so nobody could log in by them with a password or PIN.",
          scopes: VERIFIERS,
        });
      }
      const account = await findAccount(directory, request.account_id);
      const within = secrets ? await preparePasswords(request.account_id, secrets) : undefined;
      return view(await createUser(directory, account, { ...fields, type, verified, within }, actorOf(request)));
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/customers/users/:customer_id",
    config: { surface: "account", scopes: [...READERS, "user:customers"], subject_types },
    schema: {
      operationId: "aid_customers_cid_get",
      summary: "Get a user",
      description: `With user:customers alone, a person reads their own record, ${AT_OWN_CLIENTS}`,
      tags,
      params: UserParams,
      response: { 200: UserView, ...missing },
    },
    handler: async ({ bearer, params }) => {
      const { user, own } = await findCustomerFor(deps, bearer, params.customer_id, READERS);
      return view(user, own ? bearer : undefined);
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/accounts/:oid/customers/users/:customer_id",
    config: { surface: "account", scopes: [...VERIFIERS, "user:customers"], subject_types },
    schema: {
      operationId: "aid_customers_cid_put",
      summary: "Change a user",
      description: `Sets the fields it names and leaves the rest. A new password or PIN ends the person's logins, and opens what wrong guesses had closed. The person is told of it. With user:customers alone, a person changes their own name and locale, 20 times an hour, ${AT_OWN_CLIENTS}`,
      tags,
      params: UserParams,
      body: UserBody,
      response: { 200: UserView, ...refusals("account", ...bearer_refusals, "not_found", "too_many_requests") },
    },
    handler: async (request) => {
      const { account_id, bearer, params } = request;
      const { user, own } = await findCustomerFor(deps, bearer, params.customer_id, VERIFIERS);
      const { password, pin, type, customer_id, email, phone_number, ...named } = request.body;
      const reader = own ? bearer : undefined;
      checkStays(await view(user, reader), { type, customer_id, email, phone_number });
      const given = secretsOf({ password, pin });
      if (given) checkMaySetSecrets(bearer);
      const secrets = given && (await prepareReplacements(await findAccount(directory, account_id), given));
      const change = { ...named, secrets, login: own ? loginAtHand(bearer) : undefined };
      return view(await changeCustomer(directory, user, change, actorOf(request), endLogins), reader);
    },
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

  /** A person who reads their own record is shown as their client knows them, and who else administers it is not told. */
  async function view(user: User, reader?: Bearer) {
    const { created_by, deleted_by, id, customer_id, type, email, phone_number, name, locale } = user;
    const { created_at, updated_at, deleted_at } = user;
    const { first_name, last_name } = await lookUpNameParts(directory, user);
    const as = reader?.pairwise_subject;
    return withoutNulls({
      id: as ?? id,
      ...{ created_at, updated_at, deleted_at },
      ...(reader ? {} : { created_by, deleted_by }),
      ...{ customer_id: as ?? customer_id ?? id, type, email, phone_number, name, locale },
      ...(first_name === undefined ? {} : { first_name }),
      ...(last_name === undefined ? {} : { last_name }),
    });
  }
}

type Secrets = { readonly password?: string; readonly pin?: string };

/** Undefined where there is neither. */
function secretsOf({ password, pin }: { readonly [K in keyof Secrets]: string | undefined }): Secrets | undefined {
  if (password === undefined && pin === undefined) return undefined;
  return { ...(password === undefined ? {} : { password }), ...(pin === undefined ? {} : { pin }) };
}

/** @throws 403 insufficient_scope. */
function checkMaySetSecrets(bearer: Bearer): void {
  if (PASSWORD_SCOPES.some((scope) => bearer.scope.includes(scope))) return;
  throw refuse("insufficient_scope", {
    message: "Setting a password or PIN needs write:accounts:/auth/users too.",
    scopes: PASSWORD_SCOPES,
  });
}

/** How somebody is known may come along as it is shown. @throws 400 invalid_request where it is another. */
function checkStays(
  shown: { readonly [field: string]: unknown },
  given: { readonly [field: string]: string | undefined },
): void {
  for (const [field, value] of Object.entries(given)) {
    if (value === undefined || value === shown[field]) continue;
    throw refuseField(field, "fixed", "does not change here");
  }
}

/** Account users are not customers: they are not found here. */
async function findCustomer(directory: Directory, account_id: string, name: string): Promise<User> {
  const user = await findUser(directory, account_id, name);
  if (user.type === "account_user") throw noSuch("user");
  return user;
}
