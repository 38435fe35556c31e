import { type Static, Type } from "typebox";
import { LONGEST_TOKEN } from "../../secrets/longest-token.ts";

const text = (description: string, maxLength = 2_048) => Type.Optional(Type.String({ maxLength, description }));

/** Everything that an authorization request may hold; which of it is wrong is told where it may be told. */
export const RawParameters = Type.Object({
  client_id: text("The client.", 2_048),
  response_type: text("`code`."),
  redirect_uri: text("Exactly one of the client's callbacks."),
  scope: text("Space-separated; `openid` asks for an ID token.", LONGEST_TOKEN),
  state: text("Comes back byte for byte."),
  nonce: text("Comes back inside the ID token."),
  response_mode: text("`query`, `fragment` or `form_post`."),
  code_challenge: text("PKCE (RFC 7636)."),
  code_challenge_method: text("`S256`."),
  dpop_jkt: text("Thumbprint of the DPoP key that will redeem the code (RFC 9449 §10)."),
  prompt: text("`none`, `login`, `consent`, `select_account` or `create`."),
  max_age: text("Most seconds since the last login; after that the person logs in again."),
  login_hint: text("An address or number to begin with. One of more than 2,048 characters is ignored.", LONGEST_TOKEN),
  id_token_hint: text("An ID token of the person who is to log in.", 8_192),
  ui_locales: text("Languages of the pages."),
  acr_values: text("A second factor is asked for by the class that the metadata publishes for it."),
  display: text("Pages fit every display."),
  claims: text("Single claims for the ID token or userinfo, as JSON (OpenID Connect Core §5.5).", 8_192),
  resource: text("The API (RFC 8707)."),
  audience: text("Another name for resource."),
  request: text("All of it, signed by the client (RFC 9101).", 16_384),
  request_uri: text("Of `oauth/par`."),
});

export type RawParameters = Static<typeof RawParameters>;
