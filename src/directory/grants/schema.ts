import { Type } from "typebox";
import { Oid, Uuid } from "../../http/contract.ts";
import { entity_properties } from "../entity.ts";
import { scopes } from "../scopes-schema.ts";

const scope = scopes;
const client_id = Type.String({
  minLength: 1,
  maxLength: 2_048,
  format: "uuid-or-name",
  description: "The client's uuid or client_id; answers name the uuid.",
});
const audience = Type.String({ minLength: 1, description: "The API that the grant is for." });
const type = Type.Enum(["any", "authorization_code", "client_credentials", "password"], {
  description:
    "The kind of flow that it serves. If a client has several grants for one audience, a flow uses the one of its own type, else one of `any`, else one with `oidc`.",
});
const authority = Type.String({
  minLength: 1,
  description: "Issuer of the external authorization server: https, or http on a loopback address.",
});

const trusted_domains = Type.Array(Type.String({ pattern: "^[A-Za-z0-9.-]{1,253}$" }), {
  maxItems: 100,
  description:
    "E-mail domains for which the provider is trusted: a first login with such an address joins the existing user who has it.",
});

export const GrantView = Type.Object({
  ...entity_properties,
  client_id,
  audience,
  scope,
  type,
  oidc: Type.Optional(
    Type.Object({
      client_id: Type.String(),
      authority,
      redirect_uri: Type.String({
        description: "Where the external server sends browsers of hosted logins back to; to be registered there.",
      }),
      trusted_domains: Type.Optional(trusted_domains),
    }),
  ),
});

export const GrantList = Type.Array(GrantView);

export const NewGrantBody = Type.Object({
  client_id,
  audience,
  scope,
  type: Type.Optional({ ...type, default: "any" } as typeof type),
  oidc: Type.Optional(
    Type.Object(
      {
        client_id: Type.String({ minLength: 1 }),
        client_secret: Type.String({ minLength: 1, description: "Kept sealed and never answered." }),
        authority,
        trusted_domains: Type.Optional(trusted_domains),
      },
      {
        description:
          "Lets the client verify people with an external authorization server; type must be authorization_code.",
      },
    ),
  ),
});

export const GrantChangeBody = Type.Object({ scope });

export const GrantFilterQuery = Type.Object({
  audience: Type.Optional(audience),
  client_id: Type.Optional(client_id),
});

export const GrantParams = Type.Object({
  oid: Oid,
  id: Uuid("uuid of the grant."),
});
