import { type Static, Type } from "typebox";
import { AS_SENT } from "../../http/contract.ts";
import { LONGEST_TOKEN } from "../../secrets/longest-token.ts";
import { ClientCredentials } from "../client-authentication/schema.ts";
import { factor_properties } from "../factor-schema.ts";

const text = (description: string, maxLength = 2_048) =>
  Type.Optional(Type.String({ minLength: 1, maxLength, description }));

/** `auth/token`, in JSON or as a form. Which fields are needed depends on grant_type. */
export const AuthTokenBody = Type.Object({
  grant_type: Type.String({
    minLength: 1,
    maxLength: 100,
    description:
      "`client_credentials` (audience), `authorization_code` (verification_code, ident_type, ident, audience), `password` (username, password, audience), `refresh_token` (refresh_token), `mfa_oob` or `mfa-oob` (mfa_token with oob_code and binding_code, or otp), `account_user` or `account_user_token`.",
  }),
  audience: text("An API that a grant of the client names."),
  verification_code: text("The one-time verification code.", 256),
  ident_type: Type.Optional(
    Type.Enum(["email", "user_id", "phone_number", "login_session_id"], { description: "What `ident` is." }),
  ),
  ident: text("Whom the code was sent to.", 320),
  login_session_id: Type.Optional(
    // Empty, it is one that nobody has: what a login is bound to is not left out for that.
    Type.String({
      maxLength: 128,
      ...AS_SENT,
      description: "The login session that the code belongs to, in place of ident.",
    }),
  ),
  connection: text("The connection that the code was sent over.", 64),
  username: text("A user name, or the address of a user.", 320),
  password: text("Password of the user.", 255),
  refresh_token: text("A refresh token; the one in the answer replaces it.", LONGEST_TOKEN),
  client_id: ClientCredentials.client_id,
  client_secret: ClientCredentials.client_secret,
  ...factor_properties,
});
export type AuthTokenRequest = Static<typeof AuthTokenBody>;

/** RFC 6749 §4.1.3 and §4.4.2, as a form. */
export const OAuthTokenBody = Type.Object({
  grant_type: Type.String({
    minLength: 1,
    maxLength: 100,
    description:
      "`authorization_code`, `refresh_token`, `client_credentials`, `urn:ietf:params:oauth:grant-type:device_code` or `urn:ietf:params:oauth:grant-type:token-exchange`.",
  }),
  ...ClientCredentials,
  code: Type.Optional(Type.String({ minLength: 1, maxLength: LONGEST_TOKEN })),
  redirect_uri: Type.Optional(Type.String({ minLength: 1 })),
  code_verifier: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
  audience: Type.Optional(Type.String({ minLength: 1 })),
  resource: Type.Optional(Type.String({ minLength: 1, description: "RFC 8707; another name for audience." })),
  scope: Type.Optional(Type.String({ maxLength: LONGEST_TOKEN })),
  // One of another server, from which a client has moved here, is over like any that nobody knows.
  refresh_token: Type.Optional(Type.String({ minLength: 1, maxLength: LONGEST_TOKEN })),
  device_code: Type.Optional(Type.String({ minLength: 1, maxLength: LONGEST_TOKEN, description: "RFC 8628 §3.4." })),
  subject_token: Type.Optional(Type.String({ minLength: 1, maxLength: LONGEST_TOKEN })),
  subject_token_type: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  actor_token: Type.Optional(
    Type.String({ description: "RFC 8693 §2.1; refused, since the actor is the client that exchanges." }),
  ),
  actor_token_type: Type.Optional(Type.String()),
  requested_token_type: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
});
export type OAuthTokenRequest = Static<typeof OAuthTokenBody>;

export const OAuthTokenReply = Type.Object({
  access_token: Type.String(),
  token_type: Type.Enum(["Bearer", "DPoP"]),
  expires_in: Type.Integer(),
  scope: Type.String(),
  id_token: Type.Optional(Type.String()),
  refresh_token: Type.Optional(Type.String()),
  issued_token_type: Type.Optional(Type.String()),
});
