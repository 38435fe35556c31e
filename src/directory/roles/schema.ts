import { Type } from "typebox";
import { Oid, Uuid } from "../../http/contract.ts";
import { entity_properties } from "../entity.ts";
import { scopes } from "../scopes-schema.ts";

const scope = {
  ...scopes,
  description: "Scopes of the account API; the caller must hold each of them.",
} as typeof scopes;
const name = Type.String({ maxLength: 200 });
const description = Type.String({ maxLength: 2_000 });

export const RoleView = Type.Object({
  ...entity_properties,
  name: Type.Optional(name),
  description: Type.Optional(description),
  scope,
});

export const RoleList = Type.Array(RoleView);

export const RoleBody = Type.Object({ name: Type.Optional(name), description: Type.Optional(description), scope });

export const RoleParams = Type.Object({
  oid: Oid,
  role_id: Uuid("uuid of the role."),
});

export const RoleQuery = Type.Object({
  search: Type.Optional(
    Type.String({ maxLength: 200, description: "Found in id, name or description, whatever the case." }),
  ),
  name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  include_deleted: Type.Boolean({ default: false }),
  limit: Type.Integer({ minimum: 1, maximum: 100, default: 10 }),
  starting_after: Type.Optional(Uuid("id of the last role of the page before.")),
});
