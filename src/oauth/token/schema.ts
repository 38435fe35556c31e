import { Type } from "typebox";

/** `auth/token`, in JSON or as a form. */
export const AuthTokenBody = Type.Object({
  grant_type: Type.String({ minLength: 1, maxLength: 100, description: "`client_credentials`." }),
  audience: Type.Optional(Type.String({ minLength: 1, description: "An API that a grant of the client names." })),
});

export const AccessTokenReply = Type.Object({
  access_token: Type.String({ description: "A JWT of type at+jwt (RFC 9068)." }),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds." }),
});

/** RFC 6749 §4.1.3 and §4.4.2, as a form. */
export const OAuthTokenBody = Type.Object({
  grant_type: Type.String({
    minLength: 1,
    maxLength: 100,
    description: "`authorization_code` or `client_credentials`.",
  }),
  client_id: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  client_secret: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
  code: Type.Optional(Type.String({ minLength: 1, maxLength: 8_192 })),
  redirect_uri: Type.Optional(Type.String({ minLength: 1 })),
  code_verifier: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  audience: Type.Optional(Type.String({ minLength: 1 })),
  resource: Type.Optional(Type.String({ minLength: 1, description: "RFC 8707; another name for audience." })),
  scope: Type.Optional(Type.String()),
});

export const OAuthTokenReply = Type.Object({
  access_token: Type.String(),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer(),
  scope: Type.String(),
  id_token: Type.Optional(Type.String()),
});
