import { type Static, Type } from "typebox";
import { AS_SENT } from "../../http/contract.ts";
import { factor_properties } from "../factor-schema.ts";

/** What `POST auth/authorize` takes, in the query or as a form. Everything after `connection` is ours and optional. */
export const AuthorizeParameters = Type.Object(
  {
    audience: Type.String({
      minLength: 1,
      description: "The API that the tokens are for; names a grant of the client.",
    }),
    response_type: Type.Enum(["authenticate", "token", "code"], {
      description:
        "`authenticate` adds an ID token to the query of the callback, `token` an access token to its fragment, `code` an authorization code for `oauth/token` to its query.",
    }),
    client_id: Type.String({
      minLength: 1,
      format: "uuid-or-name",
      description: "The client that the code was made for.",
    }),
    verification_code: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 256,
        description: "The one-time verification code. Required, unless mfa_token finishes a login that began with one.",
      }),
    ),
    scope: Type.Optional(Type.Enum(["openid"], { description: "Asks for an ID token too." })),
    state: Type.Optional(Type.String({ maxLength: 2048, description: "Comes back byte for byte." })),
    redirect_uri: Type.Optional(
      Type.String({
        minLength: 1,
        description: "Exactly one of the client's callbacks; may be left out when it has only one.",
      }),
    ),
    connection: Type.Optional(
      Type.String({ minLength: 1, maxLength: 64, description: "The connection that the code was sent over." }),
    ),
    login_session_id: Type.Optional(
      // Empty, it is one that nobody has: what a login is bound to is not left out for that.
      Type.String({
        maxLength: 128,
        ...AS_SENT,
        description: "The login session that a numeric code belongs to.",
      }),
    ),
    ident_type: Type.Optional(
      Type.Enum(["email", "phone_number", "user_id"], {
        description: "What `ident` is; needed beside a numeric code.",
      }),
    ),
    ident: Type.Optional(Type.String({ minLength: 1, maxLength: 320 })),
    code_challenge: Type.Optional(
      Type.String({
        pattern: "^[A-Za-z0-9_-]{43}$",
        description: "PKCE challenge for `response_type=code` (RFC 7636 §4.2).",
      }),
    ),
    code_challenge_method: Type.Optional(Type.Enum(["S256"])),
    nonce: Type.Optional(
      Type.String({ minLength: 1, maxLength: 2048, description: "Comes back inside the ID token." }),
    ),
    ...factor_properties,
    response_mode: Type.Optional(
      Type.Enum(["json"], { description: "Answers 200 with the address in JSON, for callers that cannot read a 302." }),
    ),
  },
  {
    if: { not: { required: ["mfa_token"] } },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    then: { required: ["verification_code"] },
  },
);

export type AuthorizeRequest = Static<typeof AuthorizeParameters>;

export const AuthorizeRedirect = Type.Object({
  redirect_uri: Type.String({ description: "Where the browser is to go, with the result added." }),
});

export const Found = Type.Null({
  description:
    "`Location` is the callback with the result: `?id_token=…&state=…`, `#access_token=…&token_type=Bearer&expires_in=…&scope=…&state=…&iss=…` or `?code=…&state=…&iss=…`.",
});
