import { randomBytes } from "node:crypto";
import { takeBudget } from "../../limits/limits.ts";
import { base64url, hmac, sameBytes } from "../../secrets/digest.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { slowVerify } from "../../secrets/slow-hash.ts";
import type { Directory } from "../directory.ts";
import type { Client } from "./client.ts";
import type { StoredSecret } from "./secret.ts";

/** What a slow hash said yes to, by the secret's id: under a key that ends with this process. */
interface Right {
  readonly digest: Uint8Array;
  readonly mac: Uint8Array;
}

const key = randomBytes(32);
/** Comparisons under way: whoever shows the same text to the same secrets waits for the same answer. */
const under_way = new Map<string, Promise<StoredSecret | undefined>>();
const remembered = new Map<string, Right>();
const MEMORY = 10_000;

/**
 * Whether it is one of these secrets, which somebody chose and which are therefore hashed slowly. A right one is hashed
 * once a process, however many show it at once. Others are guesses: each is counted before it is compared, and when a client's are used up nothing is
 * compared any more but what this process has seen to be right, so that guessing shuts nobody out who is at work.
 */
export async function matchWeak(
  directory: Pick<Directory, "storage">,
  client: Client,
  secrets: readonly StoredSecret[],
  presented: Secret,
): Promise<StoredSecret | undefined> {
  if (secrets.length === 0) return undefined;
  const known = secrets.find((one) => isRight(remembered.get(one.id), one, macOf(one, presented)));
  if (known) return known;
  const name = secrets.map((one) => `${one.id} ${base64url(macOf(one, presented))}`).join(" ");
  const comparing = under_way.get(name) ?? compare(directory, client, secrets, presented);
  under_way.set(name, comparing);
  return comparing.finally(() => under_way.delete(name));
}

const macOf = (one: StoredSecret, presented: Secret) => hmac(key, one.id, reveal(presented));

async function compare(
  { storage }: Pick<Directory, "storage">,
  { account_id, id }: Client,
  secrets: readonly StoredSecret[],
  presented: Secret,
): Promise<StoredSecret | undefined> {
  const guess = { account_id, budget: "secret_guess", subject: id } as const;
  const now = storage.now();
  if (!(await takeBudget(storage, guess, now)).allowed) return undefined;
  let right: StoredSecret | undefined;
  let counts = false;
  try {
    right = await firstRight(account_id, secrets, presented);
    counts = right === undefined;
  } finally {
    // A right one was no guess, nor was what could not be compared because too many others are.
    if (!counts) await takeBudget(storage, { ...guess, cost: -1 }, now);
  }
  if (right === undefined) return undefined;
  if (remembered.size >= MEMORY) remembered.clear();
  remembered.set(right.id, { digest: right.digest, mac: macOf(right, presented) });
  return right;
}

/** @throws 503 temporarily_unavailable when too many wait for a slow hash. */
async function firstRight(
  account_id: string,
  secrets: readonly StoredSecret[],
  presented: Secret,
): Promise<StoredSecret | undefined> {
  for (const one of secrets) {
    if (await slowVerify(account_id, Buffer.from(one.digest).toString("utf8"), presented)) return one;
  }
  return undefined;
}

function isRight(known: Right | undefined, { digest }: StoredSecret, mac: Uint8Array): boolean {
  return known !== undefined && sameBytes(known.digest, digest) && sameBytes(known.mac, mac);
}
