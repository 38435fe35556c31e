import { Type } from "typebox";
import { Agreement, Configuration } from "../../directory/users/account-user-schema.ts";

const text = Type.Optional(Type.String());

export const Me = Type.Object({
  id: Type.String(),
  accounts: Type.Array(
    Type.Object({
      account_id: Type.String(),
      business_name: text,
      public_business_name: text,
      organization_number: text,
      display_name: text,
      icon_url: text,
      user: Type.Object({
        id: Type.String(),
        email: Type.String(),
        last_seen_at: text,
        scope: Type.Optional(
          Type.Array(Type.String(), {
            description: "Left out where it is too long to be shown beside other accounts.",
          }),
        ),
        name: text,
        agreement: Type.Optional(Agreement),
      }),
    }),
  ),
  configuration: Type.Optional(Configuration),
});

const password = (description: string) => Type.String({ minLength: 1, maxLength: 4_096, description });

export const PasswordBody = Type.Object({
  previous_password: Type.Optional(
    password(
      "The current password. If there is none, leave it out, or send the previous_password_token of a new account. If it was forgotten, leave it out after a login with two other factors.",
    ),
  ),
  proposed_password: Type.String({ minLength: 8, maxLength: 255 }),
});

export const SmsBody = Type.Object({
  enabled: Type.Boolean(),
  phone_number: Type.Optional(
    Type.String({ pattern: "^\\+?\\d{5,15}$", description: "Required where enabled is true." }),
  ),
});

export const TotpReply = Type.Object({
  secret: Type.String({ description: "base32, for an authenticator app." }),
  uri: Type.String({ description: "otpauth: URI, for a QR code." }),
});

export const TotpBody = Type.Object({
  otp: Type.Optional(Type.String({ pattern: "^\\d{6}$", description: "Current password of the app: switches it on." })),
  enabled: Type.Optional(Type.Boolean({ description: "`false` switches it off." })),
});
