import { Type } from "typebox";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { actorOf } from "../../directory/actor.ts";
import { sourceOf } from "../../directory/clients/end-user-source.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { type ActsAsStranger, findCustomerFor } from "../../directory/users/find-customer-for.ts";
import { loginAtHand } from "../../directory/users/logins-ended.ts";
import type { EndLogins } from "../../directory/users/remove-user.ts";
import { refuse, refuseField } from "../../errors.ts";
import { bearer_refusals, EndUserHeaders, Oid, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { secret } from "../../secrets/secret.ts";
import type { Authentication } from "../authentication.ts";
import { requestedLanguage } from "../messages/requested-language.ts";
import { confirmContact } from "./confirm-contact.ts";
import { sendContactCode } from "./send-contact-code.ts";

const writes = ["admin:customers", "write:customers"] as const;

const ContactParams = Type.Object({
  oid: Oid,
  customer_id: Type.String({ maxLength: 128, description: "uuid of the user, or your own name for them." }),
  operation: Type.Enum(["send-verification-code", "confirm-verification-code"]),
  field: Type.Enum(["email", "phone_number"]),
});

const ContactBody = Type.Union([
  Type.Object({
    code: Type.Optional(Type.String({ minLength: 1, maxLength: 64, description: "The code, to confirm." })),
    value: Type.Optional(
      // Empty, it is no address, and does not mean the record's own.
      Type.String({
        maxLength: 320,
        description: "A new address or number, to send; else the record's own.",
      }),
    ),
  }),
  Type.Null(),
]);

interface ContactDeps extends Authentication {
  readonly actsAsStranger: ActsAsStranger;
  readonly endLogins: EndLogins;
}

export function contactRoutes(app: App, { directory, nudge, endLogins, actsAsStranger }: ContactDeps): void {
  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/customers/users/:customer_id/communication/:operation/:field",
    config: {
      surface: "account",
      scopes: [...writes, "user:customers"],
      subject_types: ["client", "user"],
    },
    schema: {
      operationId: "aid_customers_cid_verify_post",
      summary: "Verify a customer's address or number",
      description:
        "Sends a code to the address or number, or confirms it with that code. A confirmed new value replaces the old one. The old one gets a notice; of a first address or number, the other one gets it. The person's other logins end, or all of them if somebody else makes the change. When an address is replaced, a password that was set by a mailed code is removed. With user:customers alone, people do this for themselves, at a client that the account made, after a login here and not only at another provider. A client that asked them for consent, because it is not `first_party`, or at which they allowed a device, gets 403. Whoever has two factors, by the account's mfa_login or of their own, has to log in with both before they replace an address or number.",
      tags: ["users"],
      params: ContactParams,
      headers: EndUserHeaders,
      body: ContactBody,
      response: {
        204: Type.Null({ description: "Done." }),
        ...refusals(
          "account",
          ...bearer_refusals,
          "invalid_verification_code",
          "not_found",
          "too_many_requests",
          "too_many_attempts",
        ),
      },
    },
    handler: async (request, reply) => {
      const { account_id, bearer, body, params } = request;
      const { customer_id, operation, field } = params;
      const { user, own } = await findCustomerFor({ directory, actsAsStranger }, bearer, customer_id, writes);
      if (own && !bearer.amr?.length) throw byProviderAlone();
      const moves_factors = !own || bearer.amr?.includes("mfa") === true;
      const contact = { account: await findAccount(directory, account_id), user, field, moves_factors };
      if (operation === "send-verification-code") {
        const { client_uuid } = bearer;
        const client = await lookUpClient(directory, account_id, client_uuid);
        const source = client ? sourceOf(bearer, client, request.headers["end-user-ip"], request.ip) : null;
        const locale = requestedLanguage(request.headers["accept-language"]);
        const asked = { ...contact, value: body?.value, locale, caller: { own, source, client_uuid } };
        await sendContactCode(directory, asked, actorOf(request));
      } else {
        if (body?.code === undefined) throw refuseField("code", "required", "is required to confirm");
        const proof = {
          presented: secret(body.code),
          login: own ? loginAtHand(bearer) : undefined,
          endLogins,
        };
        await confirmContact(directory, contact, proof, actorOf(request));
      }
      nudge();
      return reply.code(204).send(null);
    },
  });
}

/** What another provider says counts at the clients that ask it; an address logs in at all of them. */
const byProviderAlone = () =>
  refuse("insufficient_scope", { message: "Log in here first: by a code, a password or a factor of your own." });
