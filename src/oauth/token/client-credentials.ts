import { randomUUID } from "node:crypto";
import { type RequestFacts, recordDeed } from "../../audit/audit.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { listGrants, matchGrant } from "../../directory/grants/find-grant.ts";
import { refuse } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { type IssuedAccessToken, issueAccessToken } from "../../tokens/issue.ts";
import type { Tokens } from "../../tokens/tokens.ts";
import { issuingOf } from "../authorization-for.ts";
import { narrowScope } from "../narrow-scope.ts";

export interface TokenDeps {
  readonly directory: Directory;
  readonly tokens: Tokens;
}

export interface ClientCredentialsRequest {
  readonly client: Client;
  readonly audience: string | undefined;
  /** Space-separated; absent: everything the grant holds. */
  readonly scope?: string | undefined;
  readonly dpop_jkt?: string | undefined;
}

/**
 * A token for the client itself (RFC 6749 §4.4). The grant is read as committed, never from a cache, so nothing is issued
 * after its deletion was acknowledged.
 *
 * @throws 400 invalid_target, invalid_scope; 403 unauthorized_client.
 */
export async function issueClientCredentials(
  { directory, tokens }: TokenDeps,
  { client, audience = client.settings.default_audience ?? undefined, scope, dpop_jkt }: ClientCredentialsRequest,
  facts: RequestFacts,
): Promise<IssuedAccessToken> {
  const { account_id, settings } = client;
  if (!settings.grant_types.includes("client_credentials") || settings.token_endpoint_auth_method === "none") {
    throw refuse("unauthorized_client", { message: "The client may not use client_credentials." });
  }
  if (audience === undefined)
    throw refuse("invalid_target", { message: "audience is required: an API that a grant names." });
  const account = await findAccount(directory, account_id);
  const grants = await listGrants(directory, account_id, { client_id: client.id });
  const grant = matchGrant(directory, account, grants, audience, "client_credentials");
  if (!grant) {
    const message = "The client holds no grant of type client_credentials or any for this audience.";
    throw refuse("unauthorized_client", { message });
  }
  const now = directory.storage.now();
  const sid = randomUUID();
  const authorization = {
    issuing: issuingOf(directory, account),
    sid,
    subject: { type: "client", id: client.id } as const,
    client_id: client.client_id,
    client_uuid: client.id,
    grant_id: grant.id,
    audience,
    scope: narrowScope(grant.scope, scope),
    id_token_alg: settings.id_token_signed_response_alg,
    dpop_jkt,
  };
  await record(directory, client, sid, audience, facts, now);
  return issueAccessToken(tokens, authorization, now);
}

async function record(
  { storage }: Directory,
  { account_id, id }: Client,
  sid: string,
  audience: string,
  facts: RequestFacts,
  now: number,
): Promise<void> {
  const actor = { id, context: { ...facts, audience, sid, grant_type: "client_credentials" } };
  const deed = { account_id, action: "auth.token", entity: id, now: instant(now), actor };
  await storage.write((tx) => recordDeed(tx, deed));
}
