import { Type } from "typebox";

const audience = Type.String({
  minLength: 1,
  description: "The API that the person will be let in to; a grant names it.",
});
const client_id = Type.String({
  minLength: 1,
  maxLength: 2_048,
  format: "uuid-or-name",
  description: "client_id or uuid.",
});

export const PasswordlessBody = Type.Object({
  audience,
  client_id,
  connection: Type.String({ minLength: 1, maxLength: 64, description: "`email` or `sms`." }),
  email: Type.Optional(Type.String({ minLength: 3, maxLength: 320, description: "Names the person, for `sms` too." })),
  phone_number: Type.Optional(
    Type.String({ minLength: 4, maxLength: 32, description: "For `sms`: names the person instead of email." }),
  ),
  type: Type.Optional(
    Type.Enum(["company", "customer"], { description: "Must be the type of user that the client logs in." }),
  ),
  send: Type.Optional(Type.Enum(["code"])),
  login_session_id: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z0-9._~-]{1,128}$",
      description:
        "Choose one yourself. That of an earlier request or answer sends the same code again, to the same person, whoever this request names.",
    }),
  ),
  locale: Type.Optional(
    Type.String({
      pattern: "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
      maxLength: 35,
      description: "BCP 47; language of the message.",
    }),
  ),
});

export const MintBody = Type.Object({
  audience,
  client_id,
  user_id: Type.String({ minLength: 1, maxLength: 128, description: "uuid of the user, or your own name for them." }),
  format: Type.Optional(
    Type.Enum(["typable", "numeric", "link"], { description: "Default: as the client's codes are sent." }),
  ),
  reason: Type.Optional(Type.String({ minLength: 1, maxLength: 500, description: "Kept in the audit trail." })),
});

export const MintReply = Type.Object({
  verification_code: Type.String(),
  expires_at: Type.String({ format: "date-time" }),
});
