import { type Static, Type } from "typebox";
import { Oid, Uuid } from "../../http/contract.ts";
import { entity_properties } from "../entity.ts";
import { withoutDefaults } from "../settings.ts";
import { ClientSettings } from "./settings.ts";

const name = Type.String({ minLength: 1, maxLength: 200, description: "What people see; messages name it." });
const description = Type.String({ maxLength: 2_000 });

const settings = withoutDefaults(ClientSettings) as typeof ClientSettings.properties;

const set_by_account = Type.Array(Type.Enum(["name", "description", ...Object.keys(ClientSettings.properties)]), {
  uniqueItems: true,
  description:
    "At a client that registered itself, or that a document describes: the settings that stay as the account has set them, whatever the client or its document says. Changing a setting adds it. Send this list without a setting to leave that to the client again.",
});

const moment = (description: string) => Type.String({ format: "date-time", description });

/** Of a secret that is good now; the secret itself is nowhere. */
const SecretView = Type.Object({
  id: Type.String({ description: "uuid" }),
  created_at: moment("When it was made."),
  not_after: Type.Optional(moment("When it ends, because it was rotated.")),
  last_used_at: Type.Optional(moment("When it was last used, to the minute.")),
});

const ListedClient = Type.Object({
  ...entity_properties,
  name: Type.Optional(name),
  description: Type.Optional(description),
  client_id: Type.String(),
  origin: Type.Enum(["account", "dynamic", "metadata"], {
    description: "Made by the account, registered by itself, or described by a document at its address.",
  }),
  ...ClientSettings.properties,
  set_by_account: Type.Optional(set_by_account),
});

export const ClientView = Type.Object({
  ...ListedClient.properties,
  secrets: Type.Array(SecretView, { description: "The newest first. A public client has none." }),
});

export const ClientWithSecret = Type.Object({
  ...ClientView.properties,
  client_secret: Type.Optional(
    Type.String({ description: "Shown once. A public client has none, nor has one that proves itself by a key." }),
  ),
});

export const ClientList = Type.Array(ListedClient);

export const NewClientBody = Type.Partial(
  Type.Object({
    client_id: Type.String({
      pattern: "^[A-Za-z0-9._~-]{1,64}$",
      description: "Your own name for the client, taken for ever; omitted, it is the uuid.",
    }),
    name,
    description,
    ...settings,
  }),
);
export type NewClientBody = Static<typeof NewClientBody>;

export const ClientChangeBody = Type.Partial(Type.Object({ name, description, ...settings, set_by_account }), {
  additionalProperties: false,
  minProperties: 1,
});

export const ClientParams = Type.Object({
  oid: Oid,
  id: Uuid("uuid of the client."),
});

export const RotateQuery = Type.Object({
  overlap_seconds: Type.Integer({
    minimum: 0,
    maximum: 2_592_000,
    default: 0,
    description: "How long the old secrets go on beside the new one; 20 may be good at a time.",
  }),
});
