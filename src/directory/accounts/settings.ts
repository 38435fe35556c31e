import { type Static, Type } from "typebox";
import { LONGEST_LIFETIME } from "../../secrets/longest-token.ts";
import { signing_algs } from "../../secrets/signing-alg.ts";
import { scopes } from "../scopes-schema.ts";
import { changeOf, defaultsOf } from "../settings.ts";

const seconds = (minimum: number, maximum: number, value: number, description: string) =>
  Type.Integer({ minimum, maximum, default: value, description: `${description} In seconds.` });

/** With a host, and then whatever an address holds. */
const HTTPS = "^https://[^\\s/?#@]+(?:[/?#]\\S*)?$";

const text = (description: string, maxLength = 2_048) => Type.String({ minLength: 1, maxLength, description });

const count = (maximum: number, value: number, description: string) =>
  Type.Integer({ minimum: 1, maximum, default: value, description });

/** Every setting of an account, with bounds and default; what the database does not hold has its default. */
export const AccountSettings = Type.Object({
  signing_alg: Type.Enum(signing_algs, { default: "ES256", description: "Algorithm of access tokens." }),
  access_token_lifetime: seconds(60, LONGEST_LIFETIME, 14_400, "How long an access token is good for."),
  redirect_id_token_lifetime: seconds(30, 600, 120, "How long an ID token that travels in a redirect is good for."),
  key_publication_lead: seconds(0, 604_800, 86_400, "How long a new signing key is published before it signs."),
  api_audiences: Type.Array(Type.String({ minLength: 1 }), {
    maxItems: 20,
    uniqueItems: true,
    default: [],
    description: "Further names of the account API's audience, beside the issuer and the built-in ones.",
  }),
  code_lifetime: seconds(60, 600, 600, "How long a verification code is good for."),
  numeric_code_length: Type.Integer({ minimum: 6, maximum: 9, default: 6, description: "Digits of a numeric code." }),
  numeric_guess_limit: count(100, 10, "Wrong numeric codes of one person in a window before numeric codes close."),
  typable_guess_limit: count(
    100_000,
    1_000,
    "Wrong typable codes against one client in 10 minutes before codes get longer.",
  ),
  spray_guess_limit: count(
    10_000,
    100,
    "Wrong numeric codes against 20 or more people in 10 minutes before browsers get typable codes.",
  ),
  factor_guess_limit: count(
    100,
    10,
    "Wrong passwords, PINs or second factors of one person in a window before they close.",
  ),
  refresh_idle_lifetime: seconds(3_600, 31_536_000, 2_592_000, "How long a refresh token may lie unused."),
  refresh_lifetime: seconds(3_600, 63_072_000, 7_776_000, "How long refresh tokens of one login last in all."),
  session_idle_lifetime: seconds(300, 2_592_000, 86_400, "How long a browser stays logged in unused."),
  session_lifetime: seconds(300, 31_536_000, 2_592_000, "How long a browser stays logged in in all."),
  brand: Type.Object(
    {
      logo_uri: Type.Optional(Type.String({ pattern: HTTPS, maxLength: 2_048, description: "Shown on login pages." })),
      colour: Type.Optional(Type.String({ pattern: "^#[0-9a-fA-F]{6}$", description: "Of buttons." })),
      terms_uri: Type.Optional(Type.String({ pattern: HTTPS, maxLength: 2_048 })),
      privacy_uri: Type.Optional(Type.String({ pattern: HTTPS, maxLength: 2_048 })),
    },
    { default: {}, additionalProperties: false, description: "How the login pages look." },
  ),
  open_registration: Type.Boolean({
    default: false,
    description:
      "Clients may register themselves without a token (RFC 7591), as public ones or with keys of their own. They get no secret, and no grant types but authorization_code and refresh_token, whatever they ask for.",
  }),
  client_id_metadata_documents: Type.Boolean({
    default: true,
    description: "A client may be the address of a document that describes it, without registration.",
  }),
  public_client_grants: Type.Unsafe<Readonly<Record<string, readonly string[]>>>({
    type: "object",
    additionalProperties: scopes,
    maxProperties: 50,
    default: {},
    description:
      "What clients that registered themselves may ask people for, as audience → scopes; without it only userinfo. Tokens that hold a removed scope stop working.",
  }),
  mfa_login: Type.Boolean({
    default: false,
    description:
      "Customers who log in with a password or PIN need a second factor, over the channel below. Who logs in with a code is asked only where they have one.",
  }),
  mfa_login_channel: Type.Enum(["sms", "email"], { default: "sms", description: "Where the second factor is sent." }),
  mfa_recovery_channel: Type.Enum(["sms", "email"], {
    default: "email",
    description: "Where customers/mfa_login_recovery begins; its second step uses another channel.",
  }),
  jwks: Type.Union(
    [
      Type.Null(),
      Type.Object(
        {
          name: text("What the provider is called.", 200),
          uri: text("Its JWKS, by https."),
          issuer: text("`iss` of its ID tokens."),
          audience: Type.Optional(
            text(
              "What it calls this account in `aud` of its ID tokens, if that is neither the account's id nor a URL of it. Such a token is accepted at auth/token, but not at account/user, whose path names no account. If the token also has an `azp` or further audiences, `azp` must be this name.",
            ),
          ),
        },
        { additionalProperties: false },
      ),
    ],
    { default: null, description: "Signs the ID tokens of account users whose authentication_type is external." },
  ),
  partner_access: Type.Boolean({
    default: true,
    description:
      "The owner may exchange its token for one of this account; turning it on takes admin:accounts and admin:customers.",
  }),
  applicant: Type.Union(
    [Type.Null(), Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", additionalProperties: true })],
    { default: null, description: "What was said at sign-up, as given." },
  ),
  signup: Type.Boolean({
    default: false,
    description: "People may sign up for a new account under this owner; other accounts cannot turn it on.",
  }),
  client_sends_per_minute: count(100_000, 600, "Messages that one client may ask for in a minute."),
  public_user_exists: Type.Boolean({
    default: false,
    description: "A token that holds public:customers alone may ask whether a user exists, 60 times a minute.",
  }),
  country: Type.String({
    pattern: "^[A-Z]{2}$",
    default: "NO",
    description: "ISO 3166-1 alpha-2; completes phone numbers without a country code.",
  }),
  sms_countries: Type.Array(Type.String({ pattern: "^[A-Z]{2}$" }), {
    maxItems: 250,
    uniqueItems: true,
    default: [],
    description: "Countries that SMS may go to; empty means the account's own.",
  }),
  sms_daily_budget: Type.Integer({ minimum: 0, maximum: 10_000_000, default: 1_000, description: "SMS a day." }),
  locale: Type.String({
    pattern: "^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$",
    default: "en",
    description: "BCP 47; language of messages where neither request nor user names one that they are written in.",
  }),
});

export type AccountSettings = Readonly<Static<typeof AccountSettings>>;

export const AccountSettingsChange = changeOf<AccountSettings>(AccountSettings);

const Name = Type.String({ minLength: 1, maxLength: 200, description: "What people call it." });

/** What an account begins with. */
export const NewAccountFields = Type.Object(
  {
    account_id: Type.String({ minLength: 1, maxLength: 9 }),
    name: Type.Optional(Name),
    settings: Type.Optional(AccountSettingsChange),
  },
  { additionalProperties: false },
);

/** What its operator may change of an account. */
export const AccountChange = changeOf<AccountSettings & { readonly name: string }>(
  Type.Object({ name: Name, ...AccountSettings.properties }),
);

export type AccountChange = Static<typeof AccountChange>;

/** Every setting filled in; `stored` holds only what was set. */
export function accountSettings(stored: Partial<AccountSettings>): AccountSettings {
  return { ...(defaultsOf(AccountSettings) as AccountSettings), ...stored };
}
