import { Check } from "typebox/value";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { isFetchable } from "../../directory/clients/callback.ts";
import { changeClient } from "../../directory/clients/change-client.ts";
import type { Client } from "../../directory/clients/client.ts";
import { createClient, type NewClient } from "../../directory/clients/create-client.ts";
import { isDeleted, lookUpClient } from "../../directory/clients/find-client.ts";
import type { ClientSettings } from "../../directory/clients/settings.ts";
import { cacheKey, type Directory } from "../../directory/directory.ts";
import { ask, blame, isMomentary } from "../../egress/documents.ts";
import { Refusal, refuse } from "../../errors.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { ClientMetadata, emptyLeftOut, settingsOfStranger } from "./client-metadata.ts";
import { chargeNewClient, checkSameSector, inRegistrationTerms, leftToIt } from "./register.ts";
import { KEPT } from "./registration.ts";
import { countDocuments, selectRegistration, upsertRegistration } from "./store.ts";

/** Bytes. */
const LONGEST = 5_120;
/** Seconds that a document is believed: at least, unless its headers say, and at most. */
const [SHORTEST, USUAL, MOST] = [30, 300, 86_400];
/** An account keeps no more of them. */
const LIMIT = 10_000;

type Asking = Pick<Oauth, "directory" | "documents">;

/**
 * Whether a client_id is the address of a document: https (http on a loopback address, which EGRESS_ALLOW has to open),
 * with a path, and nothing that could be read in two ways.
 */
function isDocumentAddress(client_id: string): boolean {
  if (client_id.length > 2_048 || !isFetchable(client_id)) return false;
  const { href, pathname, hash } = new URL(client_id);
  return href === client_id && pathname.length > 1 && hash === "";
}

/**
 * A client by client_id or uuid. One that a document describes (OAuth Client ID Metadata Document) is what its document
 * says: read anew when it is no longer fresh, and known only where the account takes such clients.
 *
 * @throws 400 invalid_client_metadata, invalid_redirect_uri: see `isMisdescribed`; 400 client_unreachable while its
 *   document does not answer.
 */
export async function lookUpCurrentClient(
  oauth: Asking,
  account_id: string,
  name: string,
): Promise<Client | undefined> {
  const { directory } = oauth;
  const client = await lookUpClient(directory, account_id, name);
  if (client?.origin !== "metadata") return client;
  const { settings } = await findAccount(directory, account_id);
  if (!settings.client_id_metadata_documents) return undefined;
  return (await isFresh(directory, client)) ? client : readAnew(oauth, account_id, client.client_id);
}

/**
 * The client of somebody's token, or of a login under way, by client_id or uuid.
 *
 * @throws 403 unauthorized_client also for one whose document says so no more; 400 client_unreachable when it does not answer.
 */
export async function findHoldersClient(oauth: Asking, account_id: string, name: string): Promise<Client> {
  const client = await lookUpCurrentClient(oauth, account_id, name).catch((error: unknown) => {
    throw isMisdescribed(error) ? blame("unauthorized_client", error) : error;
  });
  if (!client) throw refuse("unauthorized_client", { message: "The client is unknown." });
  return client;
}

/**
 * As `lookUpCurrentClient`; who is not known and has the address of a document for a client_id is from now on a client
 * of the account, which it is until nobody uses it for a month; one that was deleted stays unknown. It holds no secret,
 * and nothing else at its address is fetched.
 *
 * @throws 400 invalid_client_metadata, invalid_redirect_uri, client_unreachable; 429.
 */
export async function lookUpAnyClient(
  oauth: Asking,
  { account_id, settings }: Account,
  client_id: string,
  source: string,
): Promise<Client | undefined> {
  const known = await lookUpCurrentClient(oauth, account_id, client_id);
  if (known || !settings.client_id_metadata_documents || !isDocumentAddress(client_id)) return known;
  const { directory } = oauth;
  if (await isDeleted(directory, account_id, client_id)) return undefined;
  await chargeNewClient(directory, account_id, source);
  if ((await countDocuments(directory.storage.read, account_id)) >= LIMIT) throw refuse("too_many_requests");
  return readAnew(oauth, account_id, client_id);
}

/** Whether a client is in the way of itself, by what its document says or because it is not there. */
export const isMisdescribed = (error: unknown): error is Refusal =>
  error instanceof Refusal && ["invalid_client_metadata", "invalid_redirect_uri"].includes(error.code);

/** Whether a client's document cannot be had just now: nobody knows what it says. */
export const isOutOfReach = (error: unknown): boolean =>
  error instanceof Refusal && error.code === "client_unreachable";

/** A sector that was taken from a document unread is read away. */
const isUnread = ({ settings, set_by_account }: Client): boolean =>
  settings.sector_identifier_uri !== null && !set_by_account.includes("sector_identifier_uri");

async function isFresh({ storage }: Directory, client: Client): Promise<boolean> {
  const { fresh_until } = (await selectRegistration(storage.read, client.account_id, client.id)) ?? {};
  return !!fresh_until && fresh_until > instant(storage.now()) && !isUnread(client);
}

/**
 * Many at once ask its address once, also who comes when it has just been read, and a moment after it failed nobody
 * asks again.
 */
async function readAnew(oauth: Asking, account_id: string, client_id: string): Promise<Client | undefined> {
  const { directory, documents } = oauth;
  const renewal = await documents.renewed.get(cacheKey(account_id, client_id), async () => {
    try {
      const known = await lookUpClient(directory, account_id, client_id);
      if (!known || !(await isFresh(directory, known))) await readDocument(oauth, account_id, client_id, known);
      return undefined;
    } catch (failure) {
      if (!isMisdescribed(failure)) throw failure;
      return { failure: blame(failure.code, failure) };
    }
  });
  if (renewal) throw renewal.failure;
  return lookUpClient(directory, account_id, client_id);
}

async function readDocument(
  oauth: Asking,
  account_id: string,
  client_id: string,
  known: Client | undefined,
): Promise<void> {
  const { directory } = oauth;
  const { storage } = directory;
  const now = storage.now();
  const { name, settings, fresh } = await fetchClient(oauth, client_id);
  const actor = { id: client_id.slice(0, 200), context: {} };
  const times = { fresh_until: instant(now + fresh * 1000), used_at: instant(now), expires_at: instant(now + KEPT) };
  const note = ({ db }: Transaction, id: string) =>
    upsertRegistration(db, { account_id, client_id: id, token_digest: null, ...times });
  if (!known) {
    const input = { client_id, name, settings, origin: "metadata" as const, within: note };
    return inRegistrationTerms(() => createDocumentClient(directory, account_id, input, actor));
  }
  const describedBy = (held: Client) => {
    const change = leftToIt(held, name, settings);
    if (!isUnread(held)) checkSameSector(held, change.settings);
    return change;
  };
  await inRegistrationTerms(() => changeClient(directory, known, describedBy, actor));
  await storage.write((tx) => note(tx, known.id));
}

/** Somebody else may have been quicker. */
async function createDocumentClient(
  directory: Directory,
  account_id: string,
  input: NewClient & { readonly client_id: string },
  actor: Parameters<typeof createClient>[3],
): Promise<void> {
  try {
    await createClient(directory, account_id, input, actor);
  } catch (error) {
    if (!(await lookUpClient(directory, account_id, input.client_id))) throw error;
  }
}

interface FetchedClient {
  readonly name: string | undefined;
  readonly settings: Partial<ClientSettings>;
  /** Seconds. */
  readonly fresh: number;
}

async function fetchClient({ documents }: Asking, client_id: string): Promise<FetchedClient> {
  const headers = { accept: "application/json" };
  const {
    status,
    body,
    headers: answered,
  } = await inRegistrationTerms(() => ask(documents.egress, { url: client_id, method: "GET", headers }));
  if (status !== 200) throw wrong(`its address answered ${status}`, isMomentary(status));
  if (Buffer.byteLength(body) > LONGEST) throw wrong(`it has more than ${LONGEST} bytes`);
  const document = parse(body);
  if (!Check(ClientMetadata, document)) throw wrong("it is no client metadata");
  const { client_id: named, client_secret } = document as { client_id?: unknown; client_secret?: unknown };
  if (named !== client_id) throw wrong("its client_id is not its address");
  if (client_secret !== undefined) throw wrong("it holds a secret");
  const settings = settingsOfStranger(document);
  if (settings.sector_identifier_uri) throw wrong("it has a sector_identifier_uri, whose list nobody reads");
  const { token_endpoint_auth_method: method } = settings;
  if (method !== "none" && method !== "private_key_jwt") throw wrong("a document has no secret to authenticate with");
  return { name: document.client_name, settings, fresh: freshness(String(answered["cache-control"] ?? "")) };
}

function parse(body: string): unknown {
  try {
    return emptyLeftOut(JSON.parse(body));
  } catch {
    throw wrong("it is no JSON");
  }
}

function freshness(cache_control: string): number {
  if (/\bno-(store|cache)\b/i.test(cache_control)) return SHORTEST;
  const [, age] = /\bmax-age=(\d{1,9})/i.exec(cache_control) ?? [];
  return Math.min(MOST, Math.max(SHORTEST, age === undefined ? USUAL : Number(age)));
}

/** `momentary`: it may be otherwise in a moment. */
const wrong = (why: string, momentary = false) =>
  refuse("invalid_client_metadata", {
    message: `The client's metadata document is not valid: ${why}.`,
    ...(momentary ? { momentary } : {}),
  });
