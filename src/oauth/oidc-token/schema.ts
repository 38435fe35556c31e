import { type Static, Type } from "typebox";
import { AS_SENT } from "../../http/contract.ts";
import { AccessTokenReply } from "../token-reply.ts";

export const OidcTokenBody = Type.Object({
  grant_type: Type.Enum(["authorization_code"]),
  code: Type.String({ minLength: 1, maxLength: 4_096, description: "The external server's code." }),
  client_id: Type.String({ minLength: 1, maxLength: 2_048, format: "uuid-or-name" }),
  audience: Type.String({ minLength: 1, description: "Names a grant of the client that has oidc." }),
  redirect_uri: Type.Optional(Type.String({ minLength: 1, description: "Where the browser came back to." })),
  nonce: Type.Optional(
    // Empty, no ID token holds it: what a login is bound to is not left out for that.
    Type.String({ ...AS_SENT, description: "Sent with the login; then the ID token must hold it." }),
  ),
  code_verifier: Type.Optional(Type.String({ ...AS_SENT, minLength: 43, maxLength: 128 })),
});

export type OidcTokenRequest = Static<typeof OidcTokenBody>;

export const OidcTokenReply = Type.Object({
  ...AccessTokenReply.properties,
  user_info: Type.Object({
    authority: Type.String({ description: "Issuer of the external server." }),
    value: Type.Unsafe<Record<string, unknown>>({
      type: "object",
      additionalProperties: true,
      description: "What it says about the person.",
    }),
  }),
});
