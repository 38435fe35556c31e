import { randomUUID } from "node:crypto";
import type { RequestFacts } from "../../audit/audit.ts";
import { type Account, issuerOf } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { type Client, isPublic } from "../../directory/clients/client.ts";
import { forgetClient } from "../../directory/clients/find-client.ts";
import type { ProvenClient } from "../../directory/clients/secret.ts";
import { sectorOf } from "../../directory/clients/sector.ts";
import { EXCHANGE } from "../../directory/clients/settings.ts";
import type { Directory } from "../../directory/directory.ts";
import { isAccountApi, isSameAudience } from "../../directory/grants/audience.ts";
import { lookUpGrant } from "../../directory/grants/find-grant.ts";
import { judgeClient } from "../../directory/judge.ts";
import { Refusal, refuse } from "../../errors.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { type IssuedAccessToken, issueAccessToken } from "../../tokens/issue.ts";
import { type AccessToken, clientsOf, exchangeSubjectOf, restsOn } from "../../tokens/verify.ts";
import { acrOf, issuingOf } from "../authorization-for.ts";
import { findAlive } from "../bearer/find-alive.ts";
import { isForeign, lookUpAgreed } from "../consents/consent.ts";
import type { Proof } from "../dpop/dpop.ts";
import { isApiFor } from "../is-api-for.ts";
import { unnamed } from "../named-audience.ts";
import type { Oauth } from "../oauth.ts";
import { noteUsed } from "../registration/note-used.ts";
import { narrowScope } from "../scopes.ts";
import { recordIssued } from "./issue-statement.ts";

const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";

export interface SubjectExchange {
  readonly client: ProvenClient;
  readonly subject_token: Secret;
  readonly subject_token_type: string | undefined;
  readonly requested_token_type: string | undefined;
  /** Somebody else is to be the actor, by a token of theirs. */
  readonly names_actor: boolean;
  /** The API that the token is to be for; undefined: the client's default. */
  readonly audience: string | undefined;
  readonly scope: string | undefined;
  /** Of the key that the token is to be bound to. */
  readonly proof: Proof | undefined;
}

export interface ExchangedToken extends IssuedAccessToken {
  readonly issued_token_type: typeof ACCESS_TOKEN;
}

/**
 * A token that somebody sent to this client, for one that it may use further on in their name (RFC 8693 §2): no wider than the
 * subject's and the client's own grant, no longer, ended by whatever ends the subject's, with the client as the actor, and never
 * refreshed. The statement that records it reads client, secret, grant and person as committed.
 *
 * @throws 400 invalid_request, also for a subject_token that is none or not meant for this client (RFC 8693 §2.2.2);
 *   400 invalid_target, invalid_scope, unauthorized_client.
 */
export async function exchangeSubject(
  oauth: Oauth,
  exchange: SubjectExchange,
  facts: RequestFacts,
): Promise<ExchangedToken> {
  const { directory, tokens } = oauth;
  const permitted = await judgeClient(directory, exchange.client, (client) => permit(oauth, { ...exchange, client }));
  const { client, account, subject, audience, grant, agreed } = permitted;
  const { account_id, settings } = client;
  await exchange.proof?.spend();
  const now = directory.storage.now();
  const exchanged = randomUUID();
  const context = { ...facts, audience, sid: subject.sid, exchange: exchanged };
  const issue = { client, grant_id: grant.id, user_id: subject.subject_type === "user" ? subject.subject : "", now };
  const deed = { action: "auth.token_exchange", entity: subject.subject, context };
  const held = await recordIssued(directory.storage, issue, deed);
  if (!held) {
    forgetClient(directory, client);
    throw refuse("invalid_request", { message: "The client, its secret, its grant or the person is gone." });
  }
  await noteUsed(directory, client);
  const authorization: Authorization = {
    issuing: issuingOf(directory, account),
    sid: subject.sid,
    began_at: subject.began_at,
    subject: subjectFor(subject, now),
    by_device: subject.by_device,
    client_id: client.client_id,
    client_uuid: client.id,
    grant_id: grant.id,
    holds: [exchangeSubjectOf(exchanged), ...restsOn(subject)],
    audience,
    scope: scopeFor(agreed, held, exchange.scope),
    id_token_alg: settings.id_token_signed_response_alg,
    act: {
      iss: issuerOf(directory.public_url, account_id),
      sub: client.id,
      ...(subject.act ? { act: subject.act } : {}),
    },
    sector: sectorOf(client),
    dpop_jkt: exchange.proof?.jkt,
    lifetime: Math.max(1, subject.expires_at - Math.floor(now / 1000)),
  };
  return { ...(await issueAccessToken(tokens, authorization, now)), issued_token_type: ACCESS_TOKEN };
}

async function permit(oauth: Oauth, exchange: SubjectExchange) {
  const { directory } = oauth;
  const { client, audience = client.settings.default_audience ?? undefined } = exchange;
  const { account_id, settings } = client;
  if (!settings.grant_types.includes(EXCHANGE))
    throw refuse("unauthorized_client", { message: "The client may not exchange tokens." });
  checkForm(exchange);
  const account = await findAccount(directory, account_id);
  const subject = await readSubject(oauth, account_id, exchange.subject_token);
  const own = subject.client_uuid === client.id;
  const named = own || subject.audience === client.client_id;
  if (!named && !(await isApiFor(directory, client, subject.audience)))
    throw refuse("invalid_request", { message: "subject_token was meant for another client." });
  // Another API that was handed the token cannot show its key; it shows who it is instead.
  const holder = own || isPublic(settings);
  if (holder && subject.jkt !== undefined && subject.jkt !== exchange.proof?.jkt)
    throw refuse("invalid_request", { message: "subject_token is bound to a key: send a DPoP proof of it." });
  if (audience === undefined) throw unnamed("invalid_target", "An API is required");
  const grant = await lookUpGrant(directory, account, client, audience, "client_credentials");
  if (!grant) throw refuse("invalid_target");
  // A person never inherits a client's power.
  if (isAccountApi(account, directory.public_url, audience))
    throw refuse("invalid_target", { message: "The account API is no target of an exchange." });
  const agreed = await withinConsent(directory, account, client, subject, audience);
  scopeFor(agreed, grant.scope, exchange.scope);
  return { client, account, subject, audience, grant, agreed };
}

/** RFC 8693 §2.1: what of its parameters is taken. */
function checkForm({ subject_token_type, requested_token_type, names_actor }: SubjectExchange): void {
  if (subject_token_type !== ACCESS_TOKEN) {
    throw refuse("invalid_request", { message: `subject_token_type must be ${ACCESS_TOKEN}.` });
  }
  if (requested_token_type !== undefined && requested_token_type !== ACCESS_TOKEN) {
    throw refuse("invalid_request", { message: `requested_token_type must be ${ACCESS_TOKEN}.` });
  }
  if (names_actor) {
    throw refuse("invalid_request", { message: "actor_token is not taken: the actor is the client that exchanges." });
  }
}

async function readSubject(oauth: Oauth, account_id: string, token: Secret): Promise<AccessToken> {
  try {
    return await findAlive(oauth, account_id, reveal(token));
  } catch (error) {
    if (error instanceof Refusal && error.status === 401) {
      throw refuse("invalid_request", {
        message: "subject_token is not a valid access token of this issuer.",
        cause: error,
      });
    }
    throw error;
  }
}

/**
 * The subject's token with the scopes that may lead to this API. A third party that logged the person in leads them to
 * another one with what they agreed to there alone: it is asked for where they are asked (RFC 8707 §2.2).
 *
 * @throws 400 invalid_target.
 */
async function withinConsent(
  directory: Directory,
  account: Account,
  client: Client,
  subject: AccessToken,
  audience: string,
): Promise<AccessToken> {
  const { subject_type, subject: user_id } = subject;
  // What was sent here is for whoever sent it to answer for.
  const logged_in_here = clientsOf(subject).every((id) => id === client.id);
  if (subject_type !== "user" || !logged_in_here || !isForeign(client)) return subject;
  if (isSameAudience(account, directory.public_url, subject.audience, audience)) return subject;
  const key = { account_id: client.account_id, user_id, client_id: client.id, audience };
  const agreed = await lookUpAgreed(directory, key);
  if (!agreed)
    throw refuse("invalid_target", {
      message:
        "The person was not asked about this API: have them asked for it (resource), or make the client first_party.",
    });
  return { ...subject, scope: subject.scope.filter((one) => agreed.includes(one)) };
}

function subjectFor(
  { subject_type, subject, auth_time, amr = [] }: AccessToken,
  now: number,
): Authorization["subject"] {
  if (subject_type === "client") return { type: "client", id: subject };
  return { type: "user", id: subject, auth_time: auth_time ?? Math.floor(now / 1000), amr, acr: acrOf(amr) };
}

/**
 * What was asked for, of what both the subject's token and the client's grant hold: never nothing, save at an API whose
 * grant has no scopes.
 *
 * @throws 400 invalid_scope.
 */
function scopeFor(
  { scope }: AccessToken,
  granted: readonly string[],
  requested: string | undefined,
): readonly string[] {
  const common = granted.filter((one) => scope.includes(one));
  if (common.length === 0 && granted.length > 0)
    throw refuse("invalid_scope", { message: "subject_token holds no scope that the client's grant has." });
  return narrowScope(common, requested);
}
