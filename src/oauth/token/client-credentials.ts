import { randomUUID } from "node:crypto";
import type { RequestFacts } from "../../audit/audit.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { isPublic } from "../../directory/clients/client.ts";
import { forgetClient } from "../../directory/clients/find-client.ts";
import type { ProvenClient } from "../../directory/clients/secret.ts";
import type { Directory } from "../../directory/directory.ts";
import { listGrants, lookUpGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { judgeClient } from "../../directory/judge.ts";
import { refuse } from "../../errors.ts";
import { type IssuedAccessToken, issueAccessToken } from "../../tokens/issue.ts";
import { issuingOf } from "../authorization-for.ts";
import { checkBound } from "../dpop/check-bound.ts";
import type { Proof } from "../dpop/dpop.ts";
import { unnamed } from "../named-audience.ts";
import type { Oauth } from "../oauth.ts";
import { noteUsed } from "../registration/note-used.ts";
import { narrowScope } from "../scopes.ts";
import { recordIssued } from "./issue-statement.ts";

export interface ClientCredentialsRequest {
  readonly client: ProvenClient;
  readonly audience: string | undefined;
  /** What an audience is refused with that no grant names: each surface has a word of its own (RFC 8707 §2). */
  readonly ungranted: "invalid_target" | "unauthorized_client";
  /** Space-separated; absent: everything the grant holds. */
  readonly scope?: string | undefined;
  /** Of the key that the token is to be bound to. */
  readonly proof?: Proof | undefined;
}

/**
 * A token for the client itself (RFC 6749 §4.4). Client, secret and grant are read as committed by the statement that records it,
 * so nothing is issued after a deletion was acknowledged.
 *
 * @throws 400 invalid_target, invalid_scope; 401 invalid_client when client or secret died meanwhile; 403 unauthorized_client.
 */
export async function issueClientCredentials(
  { directory, tokens }: Pick<Oauth, "directory" | "tokens">,
  request: ClientCredentialsRequest,
  facts: RequestFacts,
): Promise<IssuedAccessToken> {
  const { ungranted, scope, proof } = request;
  const permitted = await judgeClient(directory, request.client, (client) => permit(directory, { ...request, client }));
  const { client, account, audience, grant } = permitted;
  await proof?.spend();
  const now = directory.storage.now();
  const sid = randomUUID();
  const context = { audience, sid, grant_type: "client_credentials", ...facts };
  const issue = { client, grant_id: grant.id, user_id: "", now };
  const held = await recordIssued(directory.storage, issue, { action: "auth.token", entity: client.id, context });
  if (!held) throw (await isHeld(directory, client, grant)) ? refuse("invalid_client") : noGrant(ungranted);
  await noteUsed(directory, client);
  const authorization = {
    issuing: issuingOf(directory, account),
    sid,
    subject: { type: "client", id: client.id } as const,
    client_id: client.client_id,
    client_uuid: client.id,
    grant_id: grant.id,
    audience,
    scope: narrowScope(held, scope),
    id_token_alg: client.settings.id_token_signed_response_alg,
    dpop_jkt: proof?.jkt,
  };
  return issueAccessToken(tokens, authorization, now);
}

async function permit(
  directory: Directory,
  { client, audience: named, ungranted, scope, proof }: ClientCredentialsRequest,
) {
  const { account_id, settings } = client;
  if (!settings.grant_types.includes("client_credentials") || isPublic(settings)) {
    throw refuse("unauthorized_client", { message: "The client may not use client_credentials." });
  }
  checkBound(client, proof?.jkt);
  const audience = named ?? settings.default_audience ?? undefined;
  if (audience === undefined) throw unnamed("invalid_target", "An API is required");
  const account = await findAccount(directory, account_id);
  const grant = await lookUpGrant(directory, account, client, audience, "client_credentials");
  if (!grant) throw noGrant(ungranted);
  narrowScope(grant.scope, scope);
  return { client, account, audience, grant };
}

/** Client, secret or grant died while the token was asked for: whether it was another than the grant. */
async function isHeld(directory: Directory, client: ProvenClient, grant: Grant): Promise<boolean> {
  forgetClient(directory, client);
  const grants = await listGrants(directory, client.account_id, { client_id: client.id });
  return grants.some(({ id }) => id === grant.id);
}

const noGrant = (code: ClientCredentialsRequest["ungranted"]) =>
  refuse(code, {
    message: "The client holds no grant of type client_credentials or any for this audience.",
  });
