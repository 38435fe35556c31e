import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { type Account, pathOf } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Directory } from "../../directory/directory.ts";
import { refuse } from "../../errors.ts";
import { bearer_refusals, OidParams, refusals } from "../../http/contract.ts";
import type { App } from "../../http/server.ts";
import { publishedKeys, readyKeys } from "../../tokens/keys/find-key.ts";
import type { Jwk } from "../../tokens/keys/key.ts";
import type { Oauth } from "../oauth.ts";
import { USERINFO } from "../scopes.ts";
import { metadataOf, resourceMetadataOf } from "./metadata.ts";

const Key = Type.Record(Type.String(), Type.String(), { description: "A public JWK (RFC 7517)." });
const Metadata = Type.Unsafe<Record<string, unknown>>({
  type: "object",
  additionalProperties: true,
  description: "RFC 8414 §2.",
});
const cacheable = { "cache-control": "public, max-age=300" };
const tags = ["discovery"];
const misses = refusals("oauth", "invalid_request", "not_found");

interface DiscoveryDeps extends Pick<Oauth, "directory" | "tokens"> {
  readonly languages: readonly string[];
}

/** A route, and what it is called where it is described. */
type Address = readonly [url: string, operation?: string];

export function discoveryRoutes(app: App, deps: DiscoveryDeps): void {
  const { directory, languages } = deps;
  /** One document at each of its addresses. */
  const publish = (
    addresses: readonly Address[],
    about: { readonly summary: string; readonly description?: string },
    documentOf: (account: Account) => Record<string, unknown>,
  ) => {
    for (const [url, operationId] of addresses) {
      app.route({
        method: "GET",
        url,
        config: { surface: "oauth", public: true },
        schema: {
          ...(operationId === undefined ? { hide: true } : { operationId }),
          ...{ ...about, tags, params: OidParams },
          response: { 200: Metadata, ...misses },
        },
        handler: async (request, reply) => {
          const account = await findCanonical(directory, request);
          reply.headers(cacheable);
          return documentOf(account);
        },
      });
    }
  };

  publish(
    [
      ["/v1/accounts/:oid/.well-known/openid-configuration", "openid_configuration_get"],
      ["/v1/accounts/:oid/.well-known/oauth-authorization-server", "oauth_authorization_server_get"],
      ["/.well-known/oauth-authorization-server/v1/accounts/:oid", "well_known_oauth_authorization_server_get"],
      ...betweenHostAndPath(directory.public_url, "oauth-authorization-server", ""),
    ],
    { summary: "Issuer metadata" },
    (account) => metadataOf(directory.public_url, account, languages),
  );
  for (const [below, operation, summary, description] of [
    [
      "",
      "oauth_protected_resource_get",
      "Metadata of the account API as a protected resource",
      "RFC 9728. Its `resource` is the issuer, which a token for any operation of the account API is asked for by.",
    ],
    [
      USERINFO,
      "oauth_userinfo_resource_get",
      "Metadata of userinfo as a protected resource",
      "RFC 9728; a request that userinfo refuses hears this address in its challenge.",
    ],
  ] as const)
    publish(
      [
        [`/.well-known/oauth-protected-resource/v1/accounts/:oid${below}`, operation],
        ...betweenHostAndPath(directory.public_url, "oauth-protected-resource", below),
      ],
      { summary, description },
      (account) => resourceMetadataOf(directory.public_url, account, below),
    );

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/oauth/jwks.json",
    config: { surface: "oauth", public: true },
    schema: {
      operationId: "oauth_jwks_get",
      summary: "Public keys as a JWK set",
      tags,
      params: OidParams,
      response: { 200: Type.Object({ keys: Type.Array(Key) }), ...misses },
    },
    handler: async (request, reply) => {
      const keys = await keysReady(deps, await findCanonical(directory, request));
      reply.headers(cacheable);
      return { keys };
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/auth/keys",
    config: { surface: "account", scopes: ["admin:accounts", "read:accounts"], subject_types: ["client", "user"] },
    schema: {
      operationId: "aid_auths_keys_get",
      summary: "Public keys as a bare array",
      tags: ["authenticate"],
      params: OidParams,
      response: { 200: Type.Array(Key), ...refusals("account", ...bearer_refusals) },
    },
    handler: async (request) => keysReady(deps, await findAccount(directory, request.account_id)),
  });
}

/**
 * The route of a document where the issuer has a path before `/v1`: such a document lies between host and path (RFC
 * 8414 §3.1, RFC 9728 §3.1). Not described: it is another one at each server. The router compares what is
 * decoded.
 */
function betweenHostAndPath(public_url: string, document: string, below: string): Address[] {
  const path = decodeURI(pathOf(public_url)).replaceAll(":", "::");
  return path === "" ? [] : [[`/.well-known/${document}${path}/v1/accounts/:oid${below}`]];
}

/** Metadata has one address: that of the canonical id. */
async function findCanonical(directory: Directory, request: FastifyRequest): Promise<Account> {
  const account = await findAccount(directory, request.account_id);
  if ((request.params as { oid: string }).oid !== account.account_id) {
    throw refuse("not_found", { message: `This account's metadata is published under ${account.account_id}.` });
  }
  return account;
}

/** Published before anything is signed with them. */
async function keysReady({ tokens, directory }: DiscoveryDeps, { account_id, settings }: Account): Promise<Jwk[]> {
  await readyKeys(tokens, account_id, settings.signing_alg, directory.storage.now());
  return [...(await publishedKeys(tokens, account_id))];
}
