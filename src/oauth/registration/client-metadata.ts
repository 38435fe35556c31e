import { type Static, Type } from "typebox";
import { type ClientChange, withoutSet } from "../../directory/clients/change-client.ts";
import type { Client } from "../../directory/clients/client.ts";
import { type ClientSettings, clientSettings, DEVICE_CODE } from "../../directory/clients/settings.ts";
import { refuse } from "../../errors.ts";
import { signing_algs } from "../../secrets/signing-alg.ts";

const address = Type.String({ minLength: 1, maxLength: 2_048 });
const addresses = Type.Array(address, { maxItems: 50, uniqueItems: true });
const names = Type.Array(Type.String({ minLength: 1, maxLength: 200 }), { maxItems: 20, uniqueItems: true });

/** What a client says of itself (RFC 7591 §2, OpenID Connect Registration §2); what nobody here knows is ignored. */
export const ClientMetadata = Type.Object({
  redirect_uris: Type.Optional(addresses),
  client_name: Type.Optional(Type.String({ minLength: 1, maxLength: 200 })),
  token_endpoint_auth_method: Type.Optional(Type.String({ maxLength: 64 })),
  grant_types: Type.Optional(names),
  response_types: Type.Optional(names),
  post_logout_redirect_uris: Type.Optional(addresses),
  jwks: Type.Optional(Type.Unsafe<Readonly<Record<string, unknown>>>({ type: "object", additionalProperties: true })),
  jwks_uri: Type.Optional(address),
  subject_type: Type.Optional(Type.String({ maxLength: 64 })),
  sector_identifier_uri: Type.Optional(address),
  id_token_signed_response_alg: Type.Optional(Type.String({ maxLength: 64 })),
  userinfo_signed_response_alg: Type.Optional(Type.String({ maxLength: 64 })),
  backchannel_logout_uri: Type.Optional(address),
  require_pushed_authorization_requests: Type.Optional(Type.Boolean()),
  require_signed_request_object: Type.Optional(Type.Boolean()),
  dpop_bound_access_tokens: Type.Optional(Type.Boolean()),
});
export type ClientMetadata = Static<typeof ClientMetadata>;

/** What a client says of itself anew, beside what it was given and only repeats (RFC 7592 §2.2). */
export const ClientReplacement = Type.Object({
  ...ClientMetadata.properties,
  client_id: Type.Optional(Type.String({ minLength: 1, maxLength: 64 })),
  client_secret: Type.Optional(Type.String({ minLength: 1, maxLength: 512 })),
});
export type ClientReplacement = Static<typeof ClientReplacement>;

/** What is null, or empty, is as if it had been left out (RFC 7592 §2.2). */
export function emptyLeftOut(sent: unknown): unknown {
  if (typeof sent !== "object" || sent === null || Array.isArray(sent)) return sent;
  return Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== null && value !== ""));
}

const methods: readonly string[] = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"];
const grant_types: readonly string[] = ["authorization_code", "refresh_token", DEVICE_CODE];

/**
 * What becomes a setting as it was said. Whatever else a client says of itself is ignored (RFC 7591 §2): other settings
 * are the account's to give.
 */
const taken_over = [
  "post_logout_redirect_uris",
  "jwks",
  "jwks_uri",
  "sector_identifier_uri",
  "userinfo_signed_response_alg",
  "backchannel_logout_uri",
  "require_pushed_authorization_requests",
  "require_signed_request_object",
  "dpop_bound_access_tokens",
] as const;

const wrong = (message: string) => refuse("invalid_client_metadata", { message });

/**
 * The settings of such a client, all of those that are its own to choose: what it leaves out has its default. What asks
 * for more than it may have is refused, never quietly lessened, so that a client knows what it got; `otherwise` is how
 * it authenticates when it does not say, and `held` the grant types that it has, which the account may have given it.
 *
 * @throws 400 invalid_client_metadata; invalid_redirect_uri where codes are to be sent, and no address is named.
 */
export function settingsOf(
  metadata: ClientMetadata,
  otherwise: ClientSettings["token_endpoint_auth_method"],
  held: readonly string[] = [],
): Partial<ClientSettings> {
  const { redirect_uris = [], response_types } = metadata;
  if (response_types?.some((type) => type !== "code")) throw wrong("response_types may hold code alone.");
  const grants = metadata.grant_types ?? ["authorization_code"];
  if (grants.some((type) => !grant_types.includes(type) && !held.includes(type)))
    throw wrong(`grant_types may hold ${grant_types.join(", ")}.`);
  // What only refreshes began by a code.
  const sends_codes = grants.includes("authorization_code") || grants.every((type) => type === "refresh_token");
  if (redirect_uris.length === 0 && sends_codes)
    throw refuse("invalid_redirect_uri", { message: "redirect_uris is required." });
  const method = metadata.token_endpoint_auth_method ?? otherwise;
  if (!methods.includes(method)) throw wrong(`token_endpoint_auth_method may be ${methods.join(", ")}.`);
  if (method === "private_key_jwt" && !metadata.jwks && !metadata.jwks_uri)
    throw wrong("private_key_jwt needs jwks or jwks_uri.");
  if (metadata.jwks && metadata.jwks_uri) throw wrong("jwks and jwks_uri cannot both be there.");
  const { subject_type = "public" } = metadata;
  if (subject_type !== "public" && subject_type !== "pairwise") throw wrong("subject_type may be public or pairwise.");
  const defaults = clientSettings({});
  const settings = {
    ...Object.fromEntries(taken_over.map((name) => [name, metadata[name] ?? defaults[name]])),
    callbacks: redirect_uris,
    response_types: ["code"],
    grant_types: grants,
    token_endpoint_auth_method: method,
    subject_type,
    ...algOf(metadata, "id_token_signed_response_alg"),
    ...algOf(metadata, "userinfo_signed_response_alg"),
  };
  return settings as Partial<ClientSettings>;
}

/**
 * As `settingsOf`, of a client that nobody checked. It says the same to every server, and nobody is there to be told
 * what to leave out: beside codes it has refresh tokens and what it holds, and none of the grants and responses that
 * others may know.
 *
 * @throws as settingsOf; 400 invalid_client_metadata for device codes without others: who sends those out is somebody
 *   whom the account knows. PKCE, or a key, protects the rest.
 */
export function settingsOfStranger(
  metadata: ClientMetadata,
  otherwise: ClientSettings["token_endpoint_auth_method"] = "none",
  held: readonly string[] = [],
): Partial<ClientSettings> {
  const { grant_types = [], response_types = [] } = metadata;
  const mayHave = (type: string) => isLogin(type) || held.includes(type);
  const settings = settingsOf(
    {
      ...metadata,
      ...(grant_types.includes("authorization_code") ? { grant_types: grant_types.filter(mayHave) } : {}),
      ...(response_types.includes("code") ? { response_types: ["code"] } : {}),
    },
    otherwise,
    held,
  );
  if (settings.grant_types?.includes(DEVICE_CODE) && !held.includes(DEVICE_CODE))
    throw wrong("Device codes alone are for clients that the account knows.");
  return settings;
}

const isLogin = (grant_type: string) => grant_type === "authorization_code" || grant_type === "refresh_token";

/** Who asks for a secret has none all the same, and is told so (RFC 7591 §3.2.1). */
export function withoutSecret<T extends ClientMetadata>(metadata: T): T {
  const asks = metadata.token_endpoint_auth_method?.startsWith("client_secret_");
  return asks ? { ...metadata, token_endpoint_auth_method: "none" } : metadata;
}

function algOf(metadata: ClientMetadata, name: "id_token_signed_response_alg" | "userinfo_signed_response_alg") {
  const alg = metadata[name];
  if (alg === undefined) return { [name]: clientSettings({})[name] };
  if (!(signing_algs as readonly string[]).includes(alg)) throw wrong(`${name} may be ${signing_algs.join(", ")}.`);
  return { [name]: alg };
}

/** What is registered (RFC 7591 §3.2.1). */
export function metadataOfClient({ name, settings }: Pick<Client, "name" | "settings">): Record<string, unknown> {
  const defaults = clientSettings({});
  const { callbacks, grant_types, token_endpoint_auth_method, subject_type, id_token_signed_response_alg } = settings;
  const set = taken_over.filter((key) => JSON.stringify(settings[key]) !== JSON.stringify(defaults[key]));
  return {
    redirect_uris: callbacks,
    ...(name === null ? {} : { client_name: name }),
    response_types: ["code"],
    grant_types,
    token_endpoint_auth_method,
    subject_type,
    id_token_signed_response_alg,
    ...Object.fromEntries(set.map((key) => [key, settings[key]])),
  };
}

/** Metadata that becomes a setting of the same name, but for the addresses. */
const judged = [
  ...["token_endpoint_auth_method", "grant_types", "subject_type", "id_token_signed_response_alg"],
  ...taken_over,
].map((name) => [name, name]);

/** What a client says of itself, with what the account has set in place of what it says of that: by this it is judged. */
export function withSet<T extends ClientMetadata>(metadata: T, { settings, set_by_account }: Client): T {
  const held: Readonly<Record<string, unknown>> = settings;
  const has_keys = settings.jwks !== null || settings.jwks_uri !== null;
  // By what the account has emptied nothing can be judged.
  const judges = (name: string) =>
    name === "callbacks" ? settings.callbacks.length > 0 : has_keys || !["jwks", "jwks_uri"].includes(name);
  const set = [["redirect_uris", "callbacks"], ...judged].filter(
    ([, name = ""]) => set_by_account.includes(name) && judges(name),
  );
  return { ...metadata, ...Object.fromEntries(set.map(([said, name = ""]) => [said, held[name] ?? undefined])) };
}

/** Of what a client says of itself, what is left to it: the rest the account has set. */
export const leftToIt = (
  client: Client,
  client_name: string | undefined,
  settings: Partial<ClientSettings>,
): ClientChange => ({
  ...withoutSet({ name: client_name ?? null }, client),
  settings: withoutSet(settings, client),
});
