import { type Static, Type } from "typebox";
import { signing_algs } from "../../secrets/signing-alg.ts";
import { defaultsOf } from "../settings.ts";

export const user_types = ["customer", "company", "account_user"] as const;
/** Token exchange (RFC 8693) and devices without a browser (RFC 8628). */
export const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
export const DEVICE_CODE = "urn:ietf:params:oauth:grant-type:device_code";
export const grant_types = [
  "authorization_code",
  "client_credentials",
  "refresh_token",
  EXCHANGE,
  DEVICE_CODE,
] as const;
const text = (description: string, maxLength = 2_048) => Type.String({ minLength: 1, maxLength, description });

/** Every setting of a client; what the database does not hold has its default. */
export const ClientSettings = Type.Object({
  callbacks: Type.Array(text("An exact address."), {
    maxItems: 50,
    uniqueItems: true,
    default: [],
    description:
      "Where redirects may go, compared exactly: https, http on a loopback address, or a private-use scheme with a dot.",
  }),
  response_types: Type.Array(Type.Enum(["authenticate", "token", "code"]), {
    uniqueItems: true,
    default: ["authenticate", "code"],
    description:
      "`authenticate` is always enabled, `code` where grant_types has authorization_code, `token` only where it is listed.",
  }),
  code_format: Type.Enum(["typable", "numeric"], {
    default: "typable",
    description: "Format of codes that are sent over the account API; hosted logins choose their own.",
  }),
  signup: Type.Boolean({ default: false, description: "Redeeming a code may create the user." }),
  login_uri: Type.Union([Type.Null(), text("https, on the origin of a callback.")], {
    default: null,
    description: "A page that takes a link code in its fragment; messages then carry a link to it.",
  }),
  user_type: Type.Enum(user_types, { default: "customer", description: "The one type of user that it logs in." }),
  called_from: Type.Enum(["server", "browser"], {
    default: "server",
    description:
      "`server`: the client sends the end user's address in the header End-User-IP. `browser`: it is the address of the connection, as always for a client that asks by itself without a secret or key.",
  }),
  default_audience: Type.Union([Type.Null(), text("An audience that a grant names.")], {
    default: null,
    description: "Audience of a standard request that names none.",
  }),
  require_pkce: Type.Union([Type.Null(), Type.Boolean()], {
    default: null,
    description:
      "Whether response_type=code requires PKCE; null: only if scope has no openid. A public client always needs it.",
  }),
  token_endpoint_auth_method: Type.Enum(["client_secret_basic", "client_secret_post", "private_key_jwt", "none"], {
    default: "client_secret_basic",
    description: "`none` makes it a public client.",
  }),
  grant_types: Type.Array(Type.Enum(grant_types), {
    uniqueItems: true,
    default: ["authorization_code", "client_credentials"],
    description:
      "What it may ask for at oauth/token and oauth/authorize. At auth/token the scopes of its grant decide; its own logins are refreshed if either allows it.",
  }),
  first_party: Type.Boolean({
    default: false,
    description:
      "Belongs to the account itself: people are not asked for consent. A public app without an https callback still gets no code from an existing session before the person presses a button.",
  }),
  custom_claims: Type.Array(text("Name of a claim, without its prefix ext_.", 64), {
    maxItems: 50,
    uniqueItems: true,
    default: [],
    description: "Custom claims that auth/redirect may add.",
  }),
  allowed_origins: Type.Array(text("An origin."), {
    maxItems: 50,
    uniqueItems: true,
    default: [],
    description: "Origins that may call from a browser; empty means any.",
  }),
  refresh_without_offline_access: Type.Boolean({
    default: false,
    description: "Refresh tokens also where offline_access was not asked for.",
  }),
  rotate_refresh_tokens: Type.Boolean({
    default: true,
    description:
      "Each refresh answers a new refresh token, which replaces the one that was sent. `false`: it answers the same one, if the client authenticates; not for a public client.",
  }),
  post_logout_redirect_uris: Type.Array(text("An exact address."), {
    maxItems: 50,
    uniqueItems: true,
    default: [],
    description: "Where a browser may go after logging out.",
  }),
  jwks: Type.Union(
    [Type.Null(), Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", additionalProperties: true })],
    {
      default: null,
      description:
        "Public keys of the client, for private_key_jwt and request objects, at most 20; RSA of at most 4,096 bits. Only the parameters that Latchkey reads are stored.",
    },
  ),
  jwks_uri: Type.Union([Type.Null(), text("https; where they are.")], {
    default: null,
    description: "Instead of jwks.",
  }),
  require_pushed_authorization_requests: Type.Boolean({
    default: false,
    description: "Only pushed requests (RFC 9126).",
  }),
  require_signed_request_object: Type.Boolean({
    default: false,
    description: "Only requests that it signed (RFC 9101).",
  }),
  dpop_bound_access_tokens: Type.Boolean({
    default: false,
    description: "Only tokens that are bound to a key (DPoP, RFC 9449).",
  }),
  backchannel_logout_uri: Type.Union([Type.Null(), text("https; takes logout tokens.")], {
    default: null,
    description: "Is told when somebody who logged in to it logs out (OpenID Connect Back-Channel Logout).",
  }),
  subject_type: Type.Enum(["public", "pairwise"], {
    default: "public",
    description:
      "`pairwise`: people have another `sub` for each sector, which is the host of the client's callbacks. A client that the account did not make, and whose codes go to apps or devices, is a sector of its own.",
  }),
  sector_identifier_uri: Type.Union([Type.Null(), text("https; a JSON array of callbacks.")], {
    default: null,
    description: "Its host is the sector; the document there names every callback.",
  }),
  userinfo_signed_response_alg: Type.Union([Type.Null(), Type.Enum(signing_algs)], {
    default: null,
    description: "userinfo is signed with this; null: plain JSON.",
  }),
  resource_for: Type.Array(text("An audience."), {
    maxItems: 50,
    uniqueItems: true,
    default: [],
    description: "Audiences whose tokens it may introspect and exchange, beside its own.",
  }),
  id_token_signed_response_alg: Type.Enum(signing_algs, { default: "RS256", description: "Algorithm of ID tokens." }),
  connections: Type.Union(
    [Type.Null(), Type.Array(text("Name of a connection.", 64), { uniqueItems: true, maxItems: 50 })],
    {
      default: null,
      description: "Connections that it may send codes over; null means all of the account.",
    },
  ),
});

export type ClientSettings = Readonly<Static<typeof ClientSettings>>;
export type ResponseType = ClientSettings["response_types"][number];
export type UserType = ClientSettings["user_type"];

/** Every setting filled in; `stored` holds only what was set. */
export function clientSettings(stored: Partial<ClientSettings>): ClientSettings {
  return { ...(defaultsOf(ClientSettings) as ClientSettings), ...stored };
}
