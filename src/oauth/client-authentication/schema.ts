import { Type } from "typebox";
import { LONGEST_TOKEN } from "../../secrets/longest-token.ts";

/** The client's own credentials in a form (RFC 6749 §2.3.1, RFC 7523 §2.2). */
export const ClientCredentials = {
  client_id: Type.Optional(Type.String({ minLength: 1, maxLength: 2_048 })),
  client_secret: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  client_assertion: Type.Optional(Type.String({ minLength: 1, maxLength: 8_192 })),
  client_assertion_type: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
};

/** One of another server, from which a client has moved here, is over like any that nobody knows. */
export const PresentedToken = Type.String({ minLength: 1, maxLength: LONGEST_TOKEN });

/** A token and the client's own credentials (RFC 7009 §2.1, RFC 7662 §2.1). */
export const ClientForm = Type.Object({
  token: PresentedToken,
  token_type_hint: Type.Optional(Type.String({ maxLength: 100 })),
  ...ClientCredentials,
});
