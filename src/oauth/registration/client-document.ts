import { Check } from "typebox/value";
import { isFetchable } from "../../directory/clients/callback.ts";
import { changeClient } from "../../directory/clients/change-client.ts";
import type { Client } from "../../directory/clients/client.ts";
import { createClient, type NewClient } from "../../directory/clients/create-client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { ClientSettings } from "../../directory/clients/settings.ts";
import { type Actor, cacheKey, type Directory } from "../../directory/directory.ts";
import { ask, blame, isMomentary } from "../../egress/documents.ts";
import { Refusal, refuse } from "../../errors.ts";
import { readJson } from "../../http/json.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { checkSameSector } from "./check-sector.ts";
import { ClientMetadata, emptyLeftOut, leftToIt, settingsOfStranger } from "./client-metadata.ts";
import { KEPT } from "./registration.ts";
import { inRegistrationTerms } from "./registration-terms.ts";
import { ANY_ROOM, type MakeRoom, type Room } from "./room.ts";
import { selectRegistration, upsertRegistration } from "./store.ts";

/** Bytes. */
const LONGEST = 5_120;
/** Seconds that a document is believed: at least, unless its headers say, and at most. */
const [SHORTEST, USUAL, MOST] = [30, 300, 86_400];

/** What asking for a document needs. */
export type Asking = Pick<Oauth, "directory" | "documents">;

/**
 * Whether a client_id is the address of a document: https (http on a loopback address, which EGRESS_ALLOW has to open),
 * with a path, and nothing that could be read in two ways.
 */
export function isDocumentAddress(client_id: string): boolean {
  if (client_id.length > 2_048 || !isFetchable(client_id)) return false;
  const { href, pathname, hash } = new URL(client_id);
  return href === client_id && pathname.length > 1 && hash === "";
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

/** Whether what its document said last is still believed. */
export async function isFresh({ storage }: Directory, client: Client): Promise<boolean> {
  const { fresh_until } = (await selectRegistration(storage.read, client.account_id, client.id)) ?? {};
  return !!fresh_until && fresh_until > instant(storage.now()) && !isUnread(client);
}

/**
 * A client as its document describes it now; `room` for one that is not known yet. Many at once ask its address once, also
 * who comes when it has just been read, and a moment after it failed nobody asks again.
 *
 * @throws 400 invalid_client_metadata, invalid_redirect_uri, client_unreachable.
 */
export async function readAnew(
  oauth: Asking,
  account_id: string,
  client_id: string,
  room = ANY_ROOM,
): Promise<Client | undefined> {
  const { directory, documents } = oauth;
  const renewal = await documents.renewed.get(cacheKey(account_id, client_id), async () => {
    try {
      const known = await lookUpClient(directory, account_id, client_id);
      if (!known || !(await isFresh(directory, known))) await readDocument(oauth, account_id, client_id, known, room);
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
  room: Room,
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
    const input = { client_id, name, settings, origin: "metadata" as const, untried: true };
    const create = (makeRoom: MakeRoom) => {
      const within = async (tx: Transaction, id: string) => {
        await makeRoom(tx);
        await note(tx, id);
      };
      return createDocumentClient(directory, account_id, { ...input, within }, actor);
    };
    return inRegistrationTerms(() => room(create));
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
  actor: Actor,
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
  const { value, fault } = readJson(body);
  if (fault) throw wrong(`it ${fault.message}`);
  return emptyLeftOut(value);
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
