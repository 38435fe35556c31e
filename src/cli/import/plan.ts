/**
 * What somebody brings from another system: clients with the client_id and secret that they have, their grants, roles and users.
 * What is here already stays as it is, so an import that stopped halfway is run again.
 */
import { type Static, Type } from "typebox";
import { NewAccountFields } from "../../directory/accounts/settings.ts";
import { scopes } from "../../directory/scopes-schema.ts";
import { NewUserBody } from "../../directory/users/schema.ts";

const fields = NewUserBody.properties;
const text = (maxLength = 200) => Type.String({ minLength: 1, maxLength });
const optional = (maxLength = 200) => Type.Optional(text(maxLength));

/** As every library writes it: version, costs, salt and hash, in base64 without padding. */
const argon2id =
  "^\\$argon2id\\$(v=(16|19)\\$)?m=[0-9]{1,10},t=[0-9]{1,10},p=[0-9]{1,3}\\$[A-Za-z0-9+/]{4,86}\\$[A-Za-z0-9+/]{14,}$";

export const Plan = Type.Object(
  {
    account: NewAccountFields,
    roles: Type.Optional(
      Type.Array(
        Type.Object({ name: text(), description: optional(2_000), scope: scopes }, { additionalProperties: false }),
      ),
    ),
    clients: Type.Optional(
      Type.Array(
        Type.Object(
          {
            client_id: text(64),
            client_secret: optional(512),
            name: optional(),
            description: optional(2_000),
            settings: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
            grants: Type.Optional(
              Type.Array(
                Type.Object(
                  {
                    audience: text(2_048),
                    scope: scopes,
                    type: Type.Optional(Type.Enum(["any", "authorization_code", "client_credentials", "password"])),
                  },
                  { additionalProperties: false },
                ),
              ),
            ),
          },
          { additionalProperties: false },
        ),
      ),
    ),
    users: Type.Optional(
      Type.Array(
        Type.Object(
          {
            type: Type.Optional(Type.Enum(["customer", "company", "account_user"])),
            customer_id: fields.customer_id,
            email: fields.email,
            phone_number: fields.phone_number,
            name: fields.name,
            locale: fields.locale,
            scope: Type.Optional(scopes),
            roles: Type.Optional(Type.Array(text(), { description: "Names of roles of this file." })),
            password_hash: Type.Optional(
              Type.String({ pattern: argon2id, description: "argon2id, in the PHC string format." }),
            ),
          },
          { additionalProperties: false },
        ),
      ),
    ),
  },
  { additionalProperties: false },
);

export type Plan = Static<typeof Plan>;
