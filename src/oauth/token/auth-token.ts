/**
 * `POST auth/token` of the account API: one endpoint for every way of getting a token. This file says who has to call for which
 * grant_type and what the body has to hold; each way is a file of its own.
 *
 * In: the Authorization header and the body. Out: tokens, or a refusal.
 */
import type { FastifyRequest } from "fastify";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { refuse } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import { factsOf } from "../../http/facts.ts";
import { secret } from "../../secrets/secret.ts";
import { smallUuid } from "../../secrets/uuid.ts";
import { checkBearer, findBearer } from "../bearer/bearer.ts";
import { type Caller, callerOf } from "../caller.ts";
import { authenticate } from "../client-authentication/client-authentication.ts";
import { checkUnbound } from "../dpop/check-bound.ts";
import { presentedBy } from "../dpop/dpop.ts";
import { presentedFactor } from "../factor-schema.ts";
import type { PersonTokens } from "../issue-for-person.ts";
import type { Oauth } from "../oauth.ts";
import { findHoldersClient } from "../registration/find-current-client.ts";
import { NO_MFA } from "../scopes.ts";
import { exchangeAccountUser } from "./account-user.ts";
import { issueClientCredentials } from "./client-credentials.ts";
import { redeemExchangeToken } from "./exchange-token.ts";
import { logInWithPassword } from "./password.ts";
import { refreshLogin } from "./refresh-login.ts";
import type { AuthTokenRequest } from "./schema.ts";
import { finishWithFactor } from "./second-factor.ts";
import { logInWithCode } from "./verification-code.ts";

/** One of these lets a client log people in. */
const login_scopes = ["admin:accounts", "write:accounts", "write:accounts:/auth/users", NO_MFA];

/**
 * @throws 400 invalid_request, unsupported_grant_type; 401 invalid_token, or invalid_client for client_credentials; 403
 *   insufficient_scope, unauthorized_client; 404 not_found for client_credentials at no account; what each way throws.
 */
export async function getToken(oauth: Oauth, request: FastifyRequest, body: AuthTokenRequest): Promise<PersonTokens> {
  switch (body.grant_type) {
    case "client_credentials":
      return clientCredentials(oauth, request, { ...body, ...required(body, "audience") });
    case "authorization_code": {
      const caller = await loginClient(oauth, request);
      const given = required(
        body,
        "verification_code",
        "audience",
        ...(body.login_session_id === undefined ? identity : []),
      );
      const about = { ...identOf(body), connection: body.connection, audience: given.audience };
      return logInWithCode(oauth, caller, { ...about, verification_code: secret(given.verification_code) });
    }
    case "password": {
      const caller = await loginClient(oauth, request);
      const { username, password, audience } = required(body, "username", "password", "audience");
      return logInWithPassword(oauth, caller, { username, password: secret(password), audience });
    }
    case "mfa_oob":
    case "mfa-oob": {
      const caller = await loginClient(oauth, request);
      const { mfa_token } = required(body, "mfa_token");
      return finishWithFactor(oauth, caller, secret(mfa_token), presentedFactor(body));
    }
    case "refresh_token": {
      const { bearer, account } = await bearerCaller(oauth, request, ["client", "user"]);
      checkUnbound(bearer);
      const { refresh_token } = required(body, "refresh_token");
      const client = await findHoldersClient(oauth, account.account_id, bearer.client_uuid);
      const user_id = bearer.subject_type === "user" ? bearer.subject : undefined;
      return refreshLogin(oauth, client, secret(refresh_token), factsOf(request), { user_id });
    }
    case "account_user":
    case "account_user_token":
      return exchangeAccountUser(oauth, await bearerCaller(oauth, request, ["user"], true), body.audience);
    default:
      throw refuse("unsupported_grant_type", { message: `grant_type must be one of ${grant_types.join(", ")}.` });
  }
}

const grant_types = [
  ...["client_credentials", "authorization_code", "password", "mfa_oob", "mfa-oob"],
  ...["refresh_token", "account_user", "account_user_token"],
];

const identity = ["ident_type", "ident"] as const;

/** `ident_type=login_session_id` is another way to name the session. */
function identOf({ ident_type, ident, login_session_id }: AuthTokenRequest) {
  if (ident_type === "login_session_id") return { login_session_id: ident };
  return { ident_type, ident, login_session_id };
}

/** Basic, or a secret in the body where no header says who calls; or a partner's exchange token as Bearer. */
async function clientCredentials(
  oauth: Oauth,
  request: FastifyRequest,
  { audience, client_id, client_secret }: AuthTokenRequest & { readonly audience: string },
) {
  const { authorization = "" } = request.headers;
  const { account_id } = request;
  const facts = factsOf(request);
  if (/^Bearer /i.test(authorization)) return redeemExchangeToken(oauth, account_id, authorization, audience, facts);
  const { directory } = oauth;
  // A wrong secret is not what is wrong where there is no such account.
  await findAccount(directory, account_id);
  const in_body = authorization === "" && client_secret !== undefined;
  const form = in_body ? { client_id: client_id && smallUuid(client_id), client_secret } : {};
  const client = await authenticate(oauth, request, form);
  return issueClientCredentials(oauth, { client, audience, ungranted: "unauthorized_client" }, facts);
}

async function loginClient(oauth: Oauth, request: FastifyRequest): Promise<Caller> {
  const caller = await bearerCaller(oauth, request, ["client"]);
  checkBearer(caller.bearer, { scopes: login_scopes });
  return caller;
}

/** Whoever comes with a token of one of these subjects. */
async function bearerCaller(
  oauth: Oauth,
  request: FastifyRequest,
  subject_types: readonly ("client" | "user")[],
  external = false,
): Promise<Caller> {
  const bearer = await findBearer(oauth, request.account_id, presentedBy(request), external);
  checkBearer(bearer, { subject_types });
  return callerOf(oauth.directory, request, bearer);
}

/** @throws 400 invalid_request with an entry for each field that this grant_type needs and the body lacks. */
function required<K extends keyof AuthTokenRequest>(
  body: AuthTokenRequest,
  ...names: readonly K[]
): { readonly [N in K]: NonNullable<AuthTokenRequest[N]> } {
  const missing = names.filter((name) => body[name] === undefined);
  const faults = missing.map((path) => ({ path, code: "required", message: `is required for ${body.grant_type}` }));
  if (faults.length > 0) throw malformed(faults);
  return body as { readonly [N in K]: NonNullable<AuthTokenRequest[N]> };
}
