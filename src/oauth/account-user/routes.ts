import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { checkSmsCountry } from "../../authentication/messages/sms-limits.ts";
import {
  associateTotp,
  disableFactor,
  enableSms,
  enableTotp,
  type OwnFactorChange,
} from "../../authentication/mfa/change-factors.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { actorOf } from "../../directory/actor.ts";
import type { Directory } from "../../directory/directory.ts";
import { readPhone } from "../../directory/users/identifier.ts";
import { loginAtHand } from "../../directory/users/logins-ended.ts";
import { refuseField } from "../../errors.ts";
import { bearer_refusals, NOTHING, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { optionalSecret, reveal, secret } from "../../secrets/secret.ts";
import { endLoginsOf } from "../refresh/end-logins.ts";
import { changePassword } from "./change-password.ts";
import { findMe, findMeFresh } from "./fresh-login.ts";
import { Me, PasswordBody, SmsBody, TotpBody, TotpReply } from "./schema.ts";
import { showMe } from "./show-me.ts";

const tags = ["account user"];
const own = { surface: "account", scopes: ["openid"], subject_types: ["user"] } as const;
const done = Type.Null({ description: "Done." });
const found = refusals("account", ...bearer_refusals);
const FRESH =
  "Takes the person's own token of a login in the last 5 minutes, with their second factor if they have one. The login of a device that they allowed does not count.";
const ENDS = "Switching it on ends the person's other logins.";

/** Paths without an account: the token says whose it is. */
export function accountUserSelfRoutes(app: App, directory: Directory): void {
  /** Their other logins end. */
  const changeBy = (request: FastifyRequest): OwnFactorChange => {
    const { account_id, subject: user_id } = request.bearer;
    const login = loginAtHand(request.bearer);
    return {
      ...{ actor: actorOf(request), login },
      endLogins: (tx) => endLoginsOf(tx, directory, { account_id, user_id, kept: login }),
    };
  };

  app.route({
    method: "GET",
    url: "/v1/account/user",
    config: { ...own, scopes: ["openid", "aws.cognito.signin.user.admin"], external: true },
    schema: {
      operationId: "account_user_get",
      summary: "The authenticated account user",
      description:
        "Takes the account user's own token, or an ID token of the account's own provider that names the account in `aud` by its id or a URL of it. One that names it by `jwks.audience` is exchanged at auth/token first.",
      tags,
      response: { 200: Me, ...found },
    },
    handler: async ({ bearer }) => showMe(directory, await findMe(directory, bearer), bearer),
  });

  app.route({
    method: "POST",
    url: "/v1/account/user/password",
    config: own,
    schema: {
      operationId: "account_user_password_put",
      summary: "Change your password",
      description: FRESH,
      tags,
      body: PasswordBody,
      response: {
        201: done,
        ...found,
        ...refusals("account", ...bearer_refusals, "invalid_grant", "too_many_attempts"),
      },
    },
    handler: async (request, reply) => {
      const { previous_password, proposed_password } = request.body;
      const { account_id, id } = await findMeFresh(directory, request.bearer);
      const { amr = [] } = request.bearer;
      const recovered = amr.includes("mfa") && !amr.includes("pwd");
      const previous = optionalSecret(previous_password);
      const login = loginAtHand(request.bearer);
      const change = { user_id: id, login, recovered, previous, proposed: secret(proposed_password) };
      await changePassword(directory, await findAccount(directory, account_id), change, actorOf(request));
      return reply.code(201).send(NOTHING);
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/account/user/mfa/sms",
    config: own,
    schema: {
      operationId: "account_user_mfa_sms_put",
      summary: "Switch your second factor by SMS on or off",
      description: `${FRESH} ${ENDS}`,
      tags,
      body: SmsBody,
      response: { 201: done, ...found },
    },
    handler: async (request, reply) => {
      const { enabled, phone_number } = request.body;
      const { account_id, id } = await findMeFresh(directory, request.bearer);
      const owner = { account_id, user_id: id };
      if (enabled) {
        if (phone_number === undefined) throw refuseField("phone_number", "required", "is required to enable it");
        const account = await findAccount(directory, account_id);
        const { number, country } = await readPhone(phone_number, account.settings.country);
        checkSmsCountry(account, country, "phone_number");
        await enableSms(directory, owner, number, changeBy(request));
      } else await disableFactor(directory, owner, "sms", changeBy(request));
      return reply.code(201).send(NOTHING);
    },
  });

  app.route({
    method: "POST",
    url: "/v1/account/user/mfa/totp",
    config: own,
    schema: {
      operationId: "account_user_mfa_totp_post",
      summary: "Associate an authenticator app",
      description: `Answers the app's secret, once. It has no effect until a one-time password of the app is shown. ${FRESH}`,
      tags,
      response: { 200: TotpReply, ...found },
    },
    handler: async ({ bearer }, reply) => {
      const { account_id, id, email } = await findMeFresh(directory, bearer);
      const { name } = await findAccount(directory, account_id);
      const owner = { account_id, user_id: id };
      const totp = await associateTotp(directory, owner, email ?? id, name, loginAtHand(bearer));
      reply.header("cache-control", "no-store");
      return { secret: reveal(totp.secret), uri: reveal(totp.uri) };
    },
  });

  app.route({
    method: "PUT",
    url: "/v1/account/user/mfa/totp",
    config: own,
    schema: {
      operationId: "account_user_mfa_totp_put",
      summary: "Switch your authenticator app on or off",
      description: `${FRESH} ${ENDS}`,
      tags,
      body: TotpBody,
      response: { 201: done, ...found },
    },
    handler: async (request, reply) => {
      const { otp, enabled } = request.body;
      const { account_id, id } = await findMeFresh(directory, request.bearer);
      const owner = { account_id, user_id: id };
      if (enabled === false) await disableFactor(directory, owner, "totp", changeBy(request));
      else if (otp !== undefined) await enableTotp(directory, owner, secret(otp), changeBy(request));
      else throw refuseField("otp", "required", "is required to enable it");
      return reply.code(201).send(NOTHING);
    },
  });
}
