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
/** Comparisons under way: whoever shows the same text from the same place waits for the same answer. */
const under_way = new Map<string, Promise<StoredSecret | undefined>>();
const remembered = new Map<string, Right>();
const MEMORY = 10_000;

/** Whether this process has seen that text to be right: to find that out is no guess, and takes no slow hash. */
export function isRemembered(one: StoredSecret, shown: Secret): boolean {
  const known = remembered.get(one.id);
  return known !== undefined && sameBytes(known.digest, one.digest) && sameBytes(known.mac, macOf(one, shown));
}

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
 * Whether a text that this process has not seen to be right is one of these secrets. It is counted before it is
 * compared, against where it comes from: when the guesses of one place are used up nothing more is compared for it, and
 * whoever has the right one elsewhere is let in. A right one gives its guess back, and is hashed once a process,
 * however many show it.
 */
export async function guessWeak(
  directory: Pick<Directory, "storage" | "master_keys">,
  client: Client,
  guess: WeakGuess,
): Promise<StoredSecret | undefined> {
  const { secrets, spellings, ip } = guess;
  if (secrets.length === 0) return undefined;
  const texts = secrets.flatMap((one) => spellings.map((shown) => `${one.id} ${base64url(macOf(one, shown))}`));
  const name = [ip, ...texts].join(" ");
  const comparing = under_way.get(name) ?? compare(directory, client, guess);
  under_way.set(name, comparing);
  return comparing.finally(() => under_way.delete(name));
}

async function compare(
  { storage, master_keys }: Pick<Directory, "storage" | "master_keys">,
  { account_id, id }: Client,
  { secrets, spellings, ip }: WeakGuess,
): Promise<StoredSecret | undefined> {
  const charges = sourceCharges(master_keys, account_id, ip, ["secret_guess", "secret_guess_site"]).map((charge) => ({
    ...charge,
    subject: `${id} ${charge.subject}`,
  }));
  const now = storage.now();
  if ((await takeBudgets(storage, charges, now)).some(({ allowed }) => !allowed)) return undefined;
  let counts = false;
  try {
    for (const one of secrets)
      for (const shown of spellings) {
        if (!(await slowVerify(account_id, Buffer.from(one.digest).toString("utf8"), shown))) continue;
        if (remembered.size >= MEMORY) remembered.clear();
        remembered.set(one.id, { digest: one.digest, mac: macOf(one, shown) });
        return one;
      }
    counts = true;
    return undefined;
  } finally {
    // A right one was no guess, nor was what could not be compared because too many others are.
    if (!counts) await giveBack(storage, charges, now);
  }
}
