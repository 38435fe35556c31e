import { Type } from "typebox";
import { reveal } from "../secrets/secret.ts";
import type { PersonTokens } from "./issue-for-person.ts";

/** How the account API answers with tokens. */
export const AccessTokenReply = Type.Object({
  access_token: Type.String({ description: "A JWT of type at+jwt (RFC 9068)." }),
  token_type: Type.Literal("Bearer"),
  expires_in: Type.Integer({ description: "Seconds." }),
  refresh_token: Type.Optional(
    Type.String({
      description:
        "If the bearer holds create:accounts:auth:refresh_token. Keep it on a server. The one that a refresh answers replaces it.",
    }),
  ),
});

export function accessTokenReply({ access_token, expires_in, refresh_token }: PersonTokens) {
  const tokens = { access_token: reveal(access_token), token_type: "Bearer" as const, expires_in };
  return refresh_token ? { ...tokens, refresh_token: reveal(refresh_token) } : tokens;
}

export const no_store = { "cache-control": "no-store", pragma: "no-cache" };
