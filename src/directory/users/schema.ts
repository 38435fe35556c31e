import { type Static, Type } from "typebox";
import { Oid } from "../../http/contract.ts";
import { entity_properties } from "../entity.ts";

const type = Type.Enum(["customer", "company"], { description: "One address may belong to one user of each type." });
const email = Type.String({
  minLength: 3,
  maxLength: 320,
  description: "E-mail address; upper and lower case do not matter.",
});
const phone_number = Type.String({
  minLength: 4,
  maxLength: 32,
  description:
    "Completed to E.164 with the account's country. Several users may have one; those of a type who do cannot log in by SMS.",
});
const customer_id = Type.String({
  pattern: "^\\S(.{0,126}\\S)?$",
  description: "Your own name for the user, without spaces around it; percent-encoded where it stands in a path.",
});
/** In characters. */
export const LONGEST_NAME = 200;
const name = Type.String({ maxLength: LONGEST_NAME });
const locale = Type.String({
  pattern: "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
  description: "BCP 47; language of messages to the user, or the account's where they are not written in it.",
});

const names = { name: Type.Optional(name), first_name: Type.Optional(name), last_name: Type.Optional(name) };
const identifiers = {
  type: Type.Optional(type),
  customer_id: Type.Optional(customer_id),
  email: Type.Optional(email),
  phone_number: Type.Optional(phone_number),
};
const secrets = {
  password: Type.Optional(
    Type.String({ minLength: 8, maxLength: 255, description: "Needs write:accounts:/auth/users too." }),
  ),
  pin: Type.Optional(
    Type.String({
      pattern: "^\\d{6}$",
      description: "Six digits, good before a second factor only. Needs write:accounts:/auth/users too.",
    }),
  ),
};

export const NewUserBody = Type.Object({ ...identifiers, ...names, locale: Type.Optional(locale), ...secrets });
export type NewUserBody = Static<typeof NewUserBody>;

/** How a user is known is named by whoever sends back a whole record, and does not change here. */
export const UserBody = Type.Object({
  ...names,
  locale: Type.Optional(locale),
  ...secrets,
  type: Type.Optional(Type.String({ description: "As it is." })),
  customer_id: Type.Optional(Type.String({ description: "As it is." })),
  email: Type.Optional(
    Type.String({ description: "As it is; customers/users/{customer_id}/communication changes it." }),
  ),
  phone_number: Type.Optional(
    Type.String({ description: "As it is; customers/users/{customer_id}/communication changes it." }),
  ),
});

export const UserView = Type.Object({
  ...entity_properties,
  customer_id: Type.String({ description: "Your own name for the user; the uuid where none was given." }),
  type: Type.String(),
  email: Type.Optional(email),
  phone_number: Type.Optional(phone_number),
  ...names,
  locale: Type.Optional(locale),
});

export const UserParams = Type.Object({
  oid: Oid,
  customer_id: Type.String({ maxLength: 128, description: "uuid of the user, or your own name for them." }),
});

export const UserExistsQuery = Type.Object({
  email: Type.Optional(email),
  phone_number: Type.Optional(phone_number),
  type: Type.Optional(type),
});
