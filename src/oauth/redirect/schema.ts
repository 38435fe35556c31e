import { type Static, Type } from "typebox";

export const RedirectBody = Type.Object({
  redirect_uri: Type.String({ pattern: "^https?://.*", description: "Exactly one of the client's callbacks." }),
  custom_claims: Type.Optional(
    Type.Record(Type.String({ pattern: "^.{1,64}$" }), Type.String(), {
      maxProperties: 50,
      description: "Each comes with the prefix ext_. The client's setting custom_claims lists the names it may use.",
    }),
  ),
  claims: Type.Optional(
    Type.Array(Type.Enum(["name", "email"]), {
      maxItems: 2,
      uniqueItems: true,
      description:
        "What the ID token tells, where it is known. A client that is not first_party needs profile and email in the token's scope; without them it is told neither.",
    }),
  ),
});

export type RedirectRequest = Static<typeof RedirectBody>;

export const RedirectReply = Type.Object({
  redirect_uri: Type.String({ description: "With id_token added to its query." }),
});
