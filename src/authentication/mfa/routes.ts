import { Type } from "typebox";
import { actorOf } from "../../directory/actor.ts";
import type { Directory } from "../../directory/directory.ts";
import { checkMayAssign } from "../../directory/may-hand-on.ts";
import { AccountUserParams } from "../../directory/users/account-user-schema.ts";
import { findAccountUser } from "../../directory/users/find-account-user.ts";
import type { EndLogins } from "../../directory/users/remove-user.ts";
import { refuse } from "../../errors.ts";
import { bearer_refusals, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import type { Transaction } from "../../storage/storage.ts";
import { takeFactorAway } from "./change-factors.ts";

interface FactorDeps {
  readonly directory: Directory;
  readonly endLogins: EndLogins;
}

export function factorRoutes(app: App, { directory, endLogins }: FactorDeps): void {
  app.route({
    method: "DELETE",
    url: "/v1/accounts/:oid/management/users/:uid/mfa/:factor",
    config: { surface: "account", scopes: ["admin:accounts", "write:accounts"], subject_types: ["client", "user"] },
    schema: {
      operationId: "aid_accounts_aid_mgmnt_users_mfa_delete",
      summary: "Switch off a second factor that an account user has lost",
      description:
        "Ends the user's logins. The user is told. The caller must hold every scope that the user holds. Switch off your own at account/user/mfa.",
      tags: ["account users"],
      params: Type.Object({ ...AccountUserParams.properties, factor: Type.Enum(["totp", "sms"]) }),
      response: {
        204: Type.Null({ description: "It is off." }),
        ...refusals("account", ...bearer_refusals, "not_found"),
      },
    },
    handler: async (request, reply) => {
      const { account_id, bearer, params } = request;
      const user = await findAccountUser(directory, account_id, params.uid);
      checkMayAssign(bearer, [user, ...user.roles]);
      if (bearer.subject === user.id)
        throw refuse("insufficient_scope", { message: "Your own is switched off at account/user/mfa." });
      const owner = { account_id, user_id: user.id };
      const change = { actor: actorOf(request), endLogins: (tx: Transaction) => endLogins(tx, owner) };
      await takeFactorAway(directory, owner, params.factor, change);
      return reply.code(204).send(null);
    },
  });
}
