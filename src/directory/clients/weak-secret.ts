import { randomBytes } from "node:crypto";
import { giveBack, takeBudgets } from "../../limits/limits.ts";
import { sourceCharges } from "../../limits/source.ts";
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
/** Comparisons under way: whoever shows the same text, from wherever, waits for the same answer. */
const under_way = new Map<string, Promise<StoredSecret | undefined>>();
/** … and from the same place is counted once. */
const counting = new Map<string, Promise<StoredSecret | undefined>>();
const remembered = new Map<string, Right>();
/** Where it was shown. */
const places = new Set<string>();
const MEMORY = 10_000;

/** Whether this process has seen that text to be right, and from there: to find that out is no guess, and takes no slow hash. */
export const isRemembered = (one: StoredSecret, shown: Secret, ip: string): boolean =>
  places.has(placeOf(one, ip)) && isRight(one, shown);

/** Who shows it elsewhere may guess, so that is for those alone who have counted it. */
function isRight(one: StoredSecret, shown: Secret): boolean {
  const known = remembered.get(one.id);
  return known !== undefined && sameBytes(known.digest, one.digest) && sameBytes(known.mac, macOf(one, shown));
}

const placeOf = ({ id }: StoredSecret, ip: string) => `${id} ${ip}`;
const macOf = (one: StoredSecret, shown: Secret) => hmac(key, one.id, reveal(shown));

export interface WeakGuess {
  /** Secrets that somebody chose, which are therefore hashed slowly. */
  readonly secrets: readonly StoredSecret[];
  /** One text, in the ways in which it may be meant. */
  readonly spellings: readonly Secret[];
  /** Of whoever shows it. */
  readonly ip: string;
}

/**
 * Whether a text that this process has not seen to be right where it comes from is one of these secrets. It is counted
 * before it is compared, against that place: when its guesses are used up nothing more is compared for it, and whoever has
 * the right one elsewhere is let in. A right one gives its guess back, and is hashed once a process, however many show it.
 * Nothing counts all places together: the right one comes from a new place too, and strangers would keep it out.
 */
export async function guessWeak(
  directory: Pick<Directory, "storage" | "master_keys">,
  client: Client,
  guess: WeakGuess,
): Promise<StoredSecret | undefined> {
  const { secrets, spellings, ip } = guess;
  if (secrets.length === 0) return undefined;
  const texts = secrets.flatMap((one) => spellings.map((shown) => `${one.id} ${base64url(macOf(one, shown))}`));
  const name = texts.join(" ");
  const { account_id } = client;
  const compare = () => together(under_way, name, () => firstRight(account_id, secrets, spellings));
  return together(counting, `${ip} ${name}`, () => count(directory, client, ip, compare));
}

function together<T>(all: Map<string, Promise<T>>, name: string, begin: () => Promise<T>): Promise<T> {
  const going = all.get(name) ?? begin().finally(() => all.delete(name));
  all.set(name, going);
  return going;
}

/** Counts what is compared, unless it is right: not at all where the guesses of that place are used up. */
async function count(
  { storage, master_keys }: Pick<Directory, "storage" | "master_keys">,
  { account_id, id }: Client,
  ip: string,
  compare: () => Promise<StoredSecret | undefined>,
): Promise<StoredSecret | undefined> {
  const charges = sourceCharges(master_keys, account_id, ip, ["secret_guess", "secret_guess_site"]).map((charge) => ({
    ...charge,
    subject: `${id} ${charge.subject}`,
  }));
  const now = storage.now();
  if (await takeBudgets(storage, charges, now)) return undefined;
  let counts = false;
  try {
    const right = await compare();
    counts = right === undefined;
    if (right) notePlace(placeOf(right, ip));
    return right;
  } finally {
    // A right one was no guess, nor was what could not be compared because too many others are.
    if (!counts) await giveBack(storage, charges, now);
  }
}

function notePlace(place: string): void {
  for (const oldest of places) {
    if (places.size < MEMORY) break;
    places.delete(oldest);
  }
  places.add(place);
}

/** @throws 503 temporarily_unavailable when too many wait for a slow hash. */
async function firstRight(
  account_id: string,
  secrets: readonly StoredSecret[],
  spellings: readonly Secret[],
): Promise<StoredSecret | undefined> {
  for (const one of secrets)
    for (const shown of spellings) {
      // Somebody else may have found out meanwhile.
      const known = isRight(one, shown);
      if (!known && !(await slowVerify(account_id, Buffer.from(one.digest).toString("utf8"), shown))) continue;
      if (remembered.size >= MEMORY) remembered.clear();
      remembered.set(one.id, { digest: one.digest, mac: macOf(one, shown) });
      return one;
    }
  return undefined;
}
