import { randomBytes } from "node:crypto";
import type { FastifySchemaValidationError } from "fastify";
import { findAccount } from "../../directory/accounts/find-account.ts";
import {
  type ClientChange,
  changeClient,
  purgeClient,
  removeClient,
  withoutSet,
} from "../../directory/clients/change-client.ts";
import { type Client, isPublic } from "../../directory/clients/client.ts";
import { type CreatedClient, createClient } from "../../directory/clients/create-client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { authenticateClient } from "../../directory/clients/secret.ts";
import { sectorOf } from "../../directory/clients/sector.ts";
import { type ClientSettings, DEVICE_CODE } from "../../directory/clients/settings.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { type Documents, fetchList } from "../../egress/documents.ts";
import { Refusal, refuse, unlessRefused } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import { faultsOf, MOST_FAULTS } from "../../http/faults.ts";
import { spendBudget } from "../../limits/limits.ts";
import { siteSubject, sourceSubject } from "../../limits/source.ts";
import { base64url, sameBytes } from "../../secrets/digest.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { CONSENTS, forgetConsents } from "../consents/consent.ts";
import type { Oauth } from "../oauth.ts";
import {
  type ClientMetadata,
  type ClientReplacement,
  settingsOf,
  settingsOfStranger,
  withoutSecret,
} from "./client-metadata.ts";
import { KEPT, NOBODY, tokenDigest } from "./registration.ts";
import { countOpenlyRegistered, deleteRegistration, selectRegistration, upsertRegistration } from "./store.ts";

export interface Registered extends CreatedClient {
  /** For RFC 7592. */
  readonly registration_access_token: Secret;
}

/** An account takes no more without a token. */
const LIMIT = 1_000;

/**
 * A client registers itself (RFC 7591 §3). Without a token only where the account lets it, without a secret, and only
 * so often from one address.
 *
 * @throws 400 invalid_redirect_uri, invalid_client_metadata; 401 invalid_token; 429 too_many_requests.
 */
export async function registerClient(
  oauth: Oauth,
  account_id: string,
  metadata: ClientMetadata,
  { allowed, actor, source }: { readonly allowed: boolean; readonly actor: Actor; readonly source: string },
): Promise<Registered> {
  const { directory } = oauth;
  const { storage } = directory;
  const account = await findAccount(directory, account_id);
  if (!allowed && !account.settings.open_registration) {
    const headers = { "www-authenticate": 'Bearer realm="latchkey"' };
    throw refuse("invalid_token", { message: "Clients register here with an initial access token.", headers });
  }
  const settings = allowed ? settingsOf(metadata, "client_secret_basic") : settingsOfStranger(withoutSecret(metadata));
  if (!allowed) await chargeNewClient(directory, account_id, source);
  await checkSector(oauth.documents, settings);
  if (!allowed && (await countOpenlyRegistered(storage.read, account_id)) >= LIMIT) throw refuse("too_many_requests");
  const registration_access_token = secret(base64url(randomBytes(32)));
  const now = storage.now();
  const times = { fresh_until: null, used_at: instant(now), expires_at: instant(now + KEPT) };
  const row = { account_id, token_digest: tokenDigest(registration_access_token), ...times };
  const within = (tx: Transaction, client_id: string) => upsertRegistration(tx.db, { ...row, client_id });
  const input = { name: metadata.client_name, settings, origin: "dynamic" as const, within };
  const created = await inRegistrationTerms(() => createClient(directory, account_id, input, actor));
  return { ...created, registration_access_token };
}

/** @throws 429 too_many_requests. */
export async function chargeNewClient(
  { storage, master_keys }: Directory,
  account_id: string,
  source: string,
): Promise<void> {
  const subject = sourceSubject(master_keys, account_id, source);
  const site = siteSubject(master_keys, account_id, source);
  const now = storage.now();
  await spendBudget(storage, { account_id, budget: "client_source", subject }, now);
  if (site !== undefined) await spendBudget(storage, { account_id, budget: "client_site", subject: site }, now);
}

/** @throws 429 too_many_requests. */
async function chargeChange({ storage }: Directory, { account_id, id: subject }: Client): Promise<void> {
  const charge = { account_id, budget: "client_change", subject } as const;
  await spendBudget(storage, charge, storage.now());
}

/** The client whose registration access token this is (RFC 7592 §2). @throws 401 invalid_token. */
export async function findRegistered(
  { directory }: Oauth,
  account_id: string,
  client_id: string,
  token: Secret,
): Promise<Client> {
  const client = await lookUpClient(directory, account_id, client_id);
  const registration = client && (await selectRegistration(directory.storage.read, account_id, client.id));
  const digest = registration?.token_digest;
  if (!client || !digest || !sameBytes(digest, tokenDigest(token))) {
    const headers = { "www-authenticate": 'Bearer realm="latchkey", error="invalid_token"' };
    throw refuse("invalid_token", { headers });
  }
  return client;
}

/**
 * Replaces what a client registered (RFC 7592 §2.2): what it leaves out is as if it had never been said. How it
 * authenticates stays, and so does what the account has set, as the answer tells. Who registered without a token is
 * given what such clients may have of what it says, as it was then. Only so often: each writes an audit event, and may
 * have us ask for a sector's document.
 *
 * @throws 400 invalid_request for another client_id or secret than its own; 400 invalid_redirect_uri, invalid_client_metadata;
 *   429 too_many_requests.
 */
export async function replaceRegistered(
  oauth: Oauth,
  client: Client,
  metadata: ClientReplacement,
  actor: Actor,
): Promise<Client> {
  await checkRepeated(oauth.directory, client, metadata);
  // The account may have taken something away since, or take it while the sector's document is asked for.
  const change = (held: Client) => replacedBy(metadata, held);
  const { settings } = change(client);
  await chargeChange(oauth.directory, client);
  await checkSector(oauth.documents, { ...client.settings, ...settings });
  return inRegistrationTerms(() => changeClient(oauth.directory, client, change, actor));
}

function replacedBy(metadata: ClientReplacement, client: Client): ClientChange {
  const { token_endpoint_auth_method: method, grant_types: held } = client.settings;
  const settings =
    client.created_by === NOBODY
      ? settingsOfStranger(isPublic(client.settings) ? withoutSecret(metadata) : metadata, method, held)
      : settingsOf(metadata, method, held);
  const sends = ({ grant_types }: Partial<ClientSettings>) => grant_types?.includes(DEVICE_CODE) === true;
  if (isPublic(client.settings) && sends(settings) && !sends(client.settings))
    throw refuse("invalid_client_metadata", { message: "Device codes need an initial access token." });
  if (settings.token_endpoint_auth_method !== method)
    throw refuse("invalid_client_metadata", { message: `token_endpoint_auth_method stays ${method}.` });
  const change = leftToIt(client, metadata.client_name, settings);
  checkSameSector(client, change.settings);
  return change;
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

/** A client chooses neither its client_id nor its secret (RFC 7592 §2.2). @throws 400 invalid_request. */
async function checkRepeated(
  directory: Directory,
  { account_id, id, client_id }: Client,
  sent: Pick<ClientReplacement, "client_id" | "client_secret">,
): Promise<void> {
  if (sent.client_id !== undefined && sent.client_id !== client_id)
    throw refuse("invalid_request", { message: `client_id stays ${client_id}.` });
  if (sent.client_secret === undefined) return;
  const proven = authenticateClient(directory, account_id, id, secret(sent.client_secret));
  if (await proven.catch(unlessRefused("invalid_client"))) return;
  throw refuse("invalid_request", { message: "client_secret must be the client's own, or left out." });
}

/** RFC 7592 §2.3: with everything that was issued to it. */
export async function removeRegistered({ directory }: Oauth, client: Client, actor: Actor): Promise<void> {
  await removeClient(directory, client, actor);
  const { account_id, id } = client;
  const { write } = directory.storage;
  const forget = (tx: Transaction) => forgetConsents(tx, client, CONSENTS);
  while ((await write(forget)) === CONSENTS);
  await write(async (tx) => {
    await deleteRegistration(tx.db, { account_id, client_id: id });
    await purgeClient(tx, account_id, id);
    while ((await forget(tx)) === CONSENTS);
  });
}

/**
 * A client that comes into a sector, of another or of none, would learn by which `sub` others there know the people whom
 * it knows already (OpenID Connect Core §8.1): only the account moves it.
 *
 * @throws 400 invalid_client_metadata.
 */
export function checkSameSector(client: Client, change: Partial<ClientSettings>): void {
  const sector = sectorOf({ ...client, settings: { ...client.settings, ...change } });
  if (sector === undefined || sector === sectorOf(client)) return;
  throw refuse("invalid_client_metadata", { message: "A client stays in the sector that it was registered in." });
}

/** Every callback, and there is one, is named by the sector's own document (OpenID Connect Registration §5). */
async function checkSector(documents: Documents, settings: Partial<ClientSettings>): Promise<void> {
  const { sector_identifier_uri, callbacks = [] } = settings;
  if (!sector_identifier_uri) return;
  const listed = await inRegistrationTerms(() => fetchList(documents, sector_identifier_uri));
  if (callbacks.length === 0 || !callbacks.every((callback) => listed.includes(callback))) {
    throw refuse("invalid_client_metadata", { message: "sector_identifier_uri does not name every redirect URI." });
  }
}

/** In the words of RFC 7591 §3.2.2. */
export async function inRegistrationTerms<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal) || !["invalid_request", "upstream_login_failed"].includes(error.code)) throw error;
    throw registrationFault(error);
  }
}

function registrationFault({ message: full, options }: Refusal): Refusal {
  const about_callbacks = options.errors?.some(({ path }) => /^(callbacks|redirect_uris)(\.|$)/.test(path));
  const { momentary, bare: message = full } = options;
  return refuse(about_callbacks ? "invalid_redirect_uri" : "invalid_client_metadata", {
    message,
    ...(momentary ? { momentary } : {}),
  });
}

/** What a schema finds: of what a client says of itself in the same words. For Fastify's `schemaErrorFormatter`. */
export function schemaFault(found: readonly FastifySchemaValidationError[], context: string): Refusal {
  const refusal = malformed(faultsOf(found.slice(0, MOST_FAULTS), context));
  return context === "body" ? registrationFault(refusal) : refusal;
}
