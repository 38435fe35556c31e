import { randomBytes } from "node:crypto";
import { refuse } from "../../errors.ts";
import { base64url, sameBytes, sha256 } from "../../secrets/digest.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { slowHash } from "../../secrets/slow-hash.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { epoch, type Instant, instant } from "../../storage/storage.ts";
import { cacheKey, type Directory } from "../directory.ts";
import type { Client } from "./client.ts";
import { forgetClient, lookUpClient } from "./find-client.ts";
import { type NewSecret, selectSecrets, updateSecretUsed } from "./store.ts";
import { guessWeak, isRemembered } from "./weak-secret.ts";

/** A client secret as the database holds it: 256 random bits need no slow hash, imported ones may. */
export interface StoredSecret {
  readonly id: string;
  readonly algorithm: "sha256" | "argon2id";
  readonly digest: Uint8Array;
  readonly created_at: Instant;
  /** It is refused from this instant on; null means never. */
  readonly not_after: Instant | null;
  readonly last_used_at: Instant | null;
}

/** What whoever manages a client is told of one of its secrets. */
export type SecretUse = Pick<StoredSecret, "id" | "created_at" | "not_after" | "last_used_at">;

export interface MintedSecret {
  readonly client_secret: Secret;
  readonly row: NewSecret;
}

/** 32 random bytes as base64url. The text is shown once; only its digest is kept. */
export function mintSecret(account_id: string, client_uuid: string, now: number): MintedSecret {
  const text = base64url(randomBytes(32));
  const row = {
    account_id,
    client_id: client_uuid,
    id: uuidv7(now),
    algorithm: "sha256" as const,
    digest: sha256(text),
    created_at: instant(now),
    not_after: null,
    last_used_at: null,
  };
  return { client_secret: secret(text), row };
}

/** Bits below which a secret that somebody chose is hashed slowly. */
const STRONG = 128;

/** A secret that a client has already: a weak one is kept as argon2id, a long random one as SHA-256. */
export async function adoptSecret(
  account_id: string,
  client_uuid: string,
  client_secret: Secret,
  now: number,
): Promise<MintedSecret> {
  const text = reveal(client_secret);
  const { row } = mintSecret(account_id, client_uuid, now);
  if (bitsOf(text) >= STRONG) return { client_secret, row: { ...row, digest: sha256(text) } };
  const digest = Buffer.from(await slowHash(account_id, client_secret), "utf8");
  return { client_secret, row: { ...row, algorithm: "argon2id", digest } };
}

/** At most so many bits, were every symbol random: fewer where symbols repeat. */
function bitsOf(text: string): number {
  const distinct = new Set(text).size;
  return text.length * Math.log2(Math.max(1, Math.min(distinct, 64)));
}

/** How often the last use of a secret is noted. */
const USE_RESOLUTION = 60_000;

/** A client, and with which of its secrets it showed that it is itself; empty where it did otherwise. */
export interface ProvenClient extends Client {
  readonly secret_id: string;
}

/** Who shows a secret, such as a request. */
export interface Sender {
  readonly account_id: string;
  /** Asked for only where they show a short secret, or guess at one. */
  readonly ip: string;
}

/**
 * The client that a client_id (or uuid) and secret belong to (RFC 6749 §2.3.1). Unknown clients and wrong secrets cannot be
 * told apart. Secrets are at most 5 s old here, and never where something is issued: the statement that issues looks again.
 *
 * `spellings`: what was shown, in each way in which it may be meant. @throws 401 invalid_client.
 */
export async function authenticateClient(
  directory: Directory,
  sender: Sender,
  client_id: string,
  ...spellings: readonly Secret[]
): Promise<ProvenClient> {
  const client = await lookUpClient(directory, sender.account_id, client_id);
  if (!client) throw refuse("invalid_client");
  const now = directory.storage.now();
  const matched = await matchSecret(directory, client, sender, spellings, instant(now));
  if (!matched) throw refuse("invalid_client");
  noteUse(directory, client, matched, now);
  return provenBy(client, matched.id);
}

/**
 * For whoever was refused something that also looks whether that secret is good: as committed, whatever this process
 * remembers. What they showed beside it may be good. @throws 401 invalid_client when the secret ended meanwhile.
 */
export async function checkSecretStands(
  directory: Directory,
  client: Client & { readonly secret_id?: string },
): Promise<void> {
  const { storage } = directory;
  const { account_id, id, secret_id } = client;
  if (!secret_id) return;
  const standing = await selectSecrets(storage.read, account_id, id, instant(storage.now()));
  if (standing.some((secret) => secret.id === secret_id)) return;
  forgetClient(directory, client);
  throw refuse("invalid_client");
}

/** One for as long as the client is known: to copy a client takes longer than to compare its secret. */
const proven = new WeakMap<Client, ProvenClient>();

function provenBy(client: Client, secret_id: string): ProvenClient {
  const known = proven.get(client);
  if (known?.secret_id === secret_id) return known;
  const made = { ...client, secret_id };
  proven.set(client, made);
  return made;
}

/**
 * What is not known may have been made a moment ago by another process. Anybody may show what is wrong, so that is
 * looked for about once a second; only what is not known then either is a guess at a short one.
 */
async function matchSecret(
  directory: Directory,
  client: Client,
  sender: Sender,
  spellings: readonly Secret[],
  now: Instant,
): Promise<StoredSecret | undefined> {
  const { storage, secrets } = directory;
  const { account_id, id } = client;
  const key = cacheKey(account_id, id);
  let fresh = false;
  const load = async () => {
    fresh = true;
    const found = await selectSecrets(storage.read, account_id, id, now);
    return found.length > 0 ? found : undefined;
  };
  let held = (await secrets.get(key, load)) ?? [];
  let known = findKnown(held, sender, spellings, now);
  if (!known && !fresh) {
    held = (await secrets.reload(key, load)) ?? (await secrets.get(key, load)) ?? [];
    known = findKnown(held, sender, spellings, now);
  }
  if (known) return known;
  const weak = held.filter((one) => one.algorithm === "argon2id" && isGood(one, now));
  return guessWeak(directory, client, { secrets: weak, spellings, ip: sender.ip });
}

/** One of which it is known without a slow hash that it is what was shown. */
function findKnown(
  secrets: readonly StoredSecret[],
  sender: Sender,
  spellings: readonly Secret[],
  now: Instant,
): StoredSecret | undefined {
  for (const shown of spellings) {
    const digest = sha256(reveal(shown));
    const isShown = (one: StoredSecret) =>
      one.algorithm === "argon2id" ? isRemembered(one, shown, sender.ip) : sameBytes(one.digest, digest);
    const known = secrets.find((one) => isGood(one, now) && isShown(one));
    if (known) return known;
  }
  return undefined;
}

const isGood = ({ not_after }: StoredSecret, now: Instant) => not_after === null || not_after > now;

/** A client's secrets that are good now, the newest first, as committed. */
export async function listSecrets({ storage }: Directory, client: Client): Promise<readonly SecretUse[]> {
  const secrets = await selectSecrets(storage.read, client.account_id, client.id, instant(storage.now()));
  return secrets.map(({ id, created_at, not_after, last_used_at }) => ({ id, created_at, not_after, last_used_at }));
}

/** Uses that are noted already, by the secret as it was read. */
const noted = new WeakSet<StoredSecret>();

/** Nobody waits for it, nor is refused because it cannot be noted: it is tried again once the secret is read anew. */
function noteUse({ storage, secrets }: Directory, { account_id, id }: Client, used: StoredSecret, now: number): void {
  if (noted.has(used) || (used.last_used_at !== null && now - epoch(used.last_used_at) < USE_RESOLUTION)) return;
  noted.add(used);
  storage
    .write(({ db }) => updateSecretUsed(db, account_id, id, used.id, instant(now)))
    .then(
      () => secrets.forget(cacheKey(account_id, id)),
      () => {},
    );
}
