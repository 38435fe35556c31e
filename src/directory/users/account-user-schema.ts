import { type Static, Type } from "typebox";
import { AS_SENT, Oid, Uuid } from "../../http/contract.ts";
import { entity_properties } from "../entity.ts";
import { RoleView } from "../roles/schema.ts";
import { scopes } from "../scopes-schema.ts";

const short = Type.String({ maxLength: 200 });

export const Agreement = Type.Object({
  name: Type.Optional(short),
  version: Type.Optional(short),
  personal_guarantee_accepted: Type.Optional(Type.Boolean()),
  attachments: Type.Optional(
    Type.Array(Type.Object({ name: Type.Optional(short), version: Type.Optional(short) }), { maxItems: 50 }),
  ),
});

const Switch = Type.Object({ enabled: Type.Boolean(), updated_at: Type.Optional(Type.String()) });

/** Which second factors a person has. */
export const Configuration = Type.Object({
  mfa: Type.Object({ sms: Type.Optional(Switch), totp: Type.Optional(Switch) }),
});
export type Configuration = Static<typeof Configuration>;

export const AccountUserView = Type.Object({
  ...entity_properties,
  email: Type.String(),
  name: Type.Optional(short),
  scope: scopes,
  authentication_type: Type.Optional(Type.Literal("external")),
  agreement: Type.Optional(Agreement),
  roles: Type.Optional(Type.Array(RoleView, { description: "Where `expand` asks for them." })),
  last_seen_at: Type.Optional(Type.String({ format: "date-time" })),
  configuration: Type.Optional(Configuration),
});

export const AccountUserList = Type.Array(AccountUserView);

const changeable = {
  name: Type.Optional(short),
  scope: Type.Optional(scopes),
  roles: Type.Optional(
    Type.Array(Type.Object({ id: Uuid("id of a role.") }), {
      maxItems: 100,
      description: "With `scope` they give 200 different scopes at most.",
    }),
  ),
  agreement: Type.Optional(Agreement),
};

export const NewAccountUserBody = Type.Object({
  email: Type.String({ minLength: 3, maxLength: 320 }),
  authentication_type: Type.Optional(
    Type.Enum(["external"], {
      ...AS_SENT,
      description:
        "Logs in with an ID token that the account's own `jwks` signs, and in no other way: no code reaches them.",
    }),
  ),
  ...changeable,
});

export const AccountUserChangeBody = Type.Object(changeable);

export const AccountUserParams = Type.Object({ oid: Oid, uid: Uuid("id of the user.") });

const expand = Type.Optional(
  Type.Array(Type.Enum(["roles"]), { maxItems: 1, description: "`roles` shows the roles that a user has." }),
);

export const ExpandQuery = Type.Object({ expand });

export const AccountUserQuery = Type.Object({
  expand,
  search: Type.Optional(Type.String({ maxLength: 200, description: "Found in e-mail or name, whatever the case." })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: "All of them without it." })),
  starting_after: Type.Optional(Uuid("id of the last user of the page before.")),
});

export const AuditEventList = Type.Array(
  Type.Object({
    id: Type.String(),
    created_at: Type.String({ format: "date-time" }),
    action: Type.String(),
    entity: Type.String(),
    actor: Type.Optional(Type.String()),
    context: Type.Record(Type.String(), Type.Unknown()),
  }),
);
