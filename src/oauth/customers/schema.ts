import { Type } from "typebox";
import { AS_SENT } from "../../http/contract.ts";

const audience = Type.String({ minLength: 1, description: "An API that a grant of the calling client names." });
const type = Type.Enum(["customer", "company"], { description: "One address may belong to one user of each type." });
const ident_type = Type.Enum(["phone_number", "email"]);
const ident = Type.String({ minLength: 3, maxLength: 320 });
const password = Type.String({
  minLength: 4,
  maxLength: 255,
  description: "Password; a PIN where a second factor follows.",
});
const email = Type.String({ minLength: 3, maxLength: 320 });

export const LoginBody = Type.Object({
  audience,
  type,
  password,
  email: Type.Optional(email),
  ident_type: Type.Optional(ident_type),
  ident: Type.Optional(ident),
});

export const MfaLoginBody = Type.Object({
  audience,
  type,
  ident_type,
  ident,
  secret: Type.String({ minLength: 4, maxLength: 255, description: "PIN or password." }),
});

export const RecoveryBody = Type.Object({ audience, type, ident_type, ident });

export const ChangePasswordBody = Type.Object({
  email,
  audience,
  type,
  verification_code: Type.Optional(
    // Empty, it is a wrong one, and does not ask for another.
    Type.String({ ...AS_SENT, maxLength: 256, description: "The code that was mailed; then password is set." }),
  ),
  password: Type.Optional(Type.String({ minLength: 8, maxLength: 255 })),
});

const Link = Type.Object({ rel: Type.Enum(["mfa_challenge", "mfa_oob"]), href: Type.String() });
const challenge_type = Type.Enum(["oob"]);
const mfa_token = Type.String();

export const MfaLoginReply = Type.Object({
  links: Type.Array(Link, { description: "Where to go on." }),
  mfa_token,
  challenge_type,
  oob_channel: Type.Optional(
    Type.Enum(["sms", "email"], {
      description: "Where mfa/challenge sends the code if it names no channel; absent if there is no such channel.",
    }),
  ),
});

export const RecoveryReply = Type.Object({
  links: Type.Array(Link),
  binding_method: Type.Optional(Type.Enum(["prompt"])),
  oob_code: Type.String(),
  mfa_token,
  challenge_type,
});
