import { type ClientChange, changeClient, purgeClient, removeClient } from "../../directory/clients/change-client.ts";
import { type Client, isPublic } from "../../directory/clients/client.ts";
import { readClient } from "../../directory/clients/find-client.ts";
import { authenticateClient } from "../../directory/clients/secret.ts";
import { type ClientSettings, DEVICE_CODE } from "../../directory/clients/settings.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { refuse, unlessRefused } from "../../errors.ts";
import { spendBudget } from "../../limits/limits.ts";
import { sameBytes } from "../../secrets/digest.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import type { Transaction } from "../../storage/storage.ts";
import { CONSENTS, forgetConsents } from "../consents/consent.ts";
import type { Oauth } from "../oauth.ts";
import { checkSameSector, checkSector } from "./check-sector.ts";
import {
  type ClientReplacement,
  leftToIt,
  settingsOf,
  settingsOfStranger,
  withoutSecret,
  withSet,
} from "./client-metadata.ts";
import { NOBODY, tokenDigest } from "./registration.ts";
import { inRegistrationTerms } from "./registration-terms.ts";
import { deleteRegistration, selectRegistration } from "./store.ts";

/** The client whose registration access token this is (RFC 7592 §2). @throws 401 invalid_token. */
export async function findRegistered(
  { directory }: Oauth,
  account_id: string,
  client_id: string,
  token: Secret,
): Promise<Client> {
  const client = await readClient(directory, account_id, client_id);
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

/** @throws 429 too_many_requests. */
async function chargeChange({ storage }: Directory, { account_id, id: subject }: Client): Promise<void> {
  const charge = { account_id, budget: "client_change", subject } as const;
  await spendBudget(storage, charge, storage.now());
}

/** A client chooses neither its client_id nor its secret (RFC 7592 §2.2). @throws 400 invalid_request. */
async function checkRepeated(
  directory: Directory,
  { account_id, id, client_id }: Client,
  sent: Pick<ClientReplacement, "client_id" | "client_secret">,
): Promise<void> {
  if (sent.client_id !== undefined && sent.client_id !== client_id)
    throw refuse("invalid_request", { message: `client_id stays ${client_id}.` });
  if (sent.client_secret === undefined) return;
  // It has none that could be guessed.
  const sender = { account_id, ip: "" };
  const proven = authenticateClient(directory, sender, id, secret(sent.client_secret));
  if (await proven.catch(unlessRefused("invalid_client"))) return;
  throw refuse("invalid_request", { message: "client_secret must be the client's own, or left out." });
}

function replacedBy(metadata: ClientReplacement, client: Client): ClientChange {
  const { token_endpoint_auth_method: method, grant_types: held } = client.settings;
  const said = withSet(metadata, client);
  const settings =
    client.created_by === NOBODY
      ? settingsOfStranger(isPublic(client.settings) ? withoutSecret(said) : said, method, held)
      : settingsOf(said, method, held);
  const sends = ({ grant_types }: Partial<ClientSettings>) => grant_types?.includes(DEVICE_CODE) === true;
  if (isPublic(client.settings) && sends(settings) && !sends(client.settings))
    throw refuse("invalid_client_metadata", { message: "Device codes need an initial access token." });
  if (settings.token_endpoint_auth_method !== method)
    throw refuse("invalid_client_metadata", { message: `token_endpoint_auth_method stays ${method}.` });
  const change = leftToIt(client, metadata.client_name, settings);
  checkSameSector(client, change.settings);
  return change;
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
