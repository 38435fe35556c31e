import { Type } from "typebox";
import { entity_properties } from "../../directory/entity.ts";
import { Oid } from "../../http/contract.ts";

/** A path that ends in a dot or two is another one (URL Standard §4.4), so nobody could name them. */
const username = Type.String({ minLength: 1, maxLength: 255, pattern: "^(?!\\.{1,2}$)" });
const password = Type.String({ minLength: 8, maxLength: 255 });

const links = Type.Array(
  Type.Object({
    rel: Type.Enum(["customers_user", "phone_number", "email"]),
    href: Type.String({
      minLength: 1,
      maxLength: 500,
      description: "`https://…/users/{customer_id}`, `tel:+47…` or `mailto:…`.",
    }),
  }),
  { maxItems: 10, description: "Which customer it is, and where binding codes go; required where mfa is set." },
);

const mfa = Type.Object({
  challenge_type: Type.Enum(["oob"]),
  oob_channels: Type.Optional(Type.Array(Type.Enum(["sms", "email"]), { maxItems: 2, uniqueItems: true })),
});

export const UsernameView = Type.Object({
  ...entity_properties,
  username,
  links: Type.Optional(links),
  mfa: Type.Optional(mfa),
});

export const NewUsernameBody = Type.Object({
  username,
  password,
  links: Type.Optional(links),
  mfa: Type.Optional(mfa),
});

export const UsernameBody = Type.Object({
  password,
  links: Type.Optional(links),
  mfa: Type.Optional(Type.Union([mfa, Type.Null()])),
});

export const RenameBody = Type.Object({ username });

export const UsernameParams = Type.Object({ oid: Oid, username: Type.String({ maxLength: 255 }) });
