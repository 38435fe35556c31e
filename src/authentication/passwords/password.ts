/**
 * Passwords and PINs of people, hashed with argon2id (19 MiB, t=2, p=1) off the event loop and in bounded number, so that a
 * flood of logins slows nothing but itself. Checking one for somebody who does not exist costs the same.
 *
 * In: a user and what they typed. Out: whether it is theirs. Who guesses is counted by `guesses`.
 */
import { availableParallelism } from "node:os";
import { refuse, refuseField } from "../../errors.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { type Instant, instant, type Storage, type Transaction } from "../../storage/storage.ts";
import { selectPassword, upsertPassword } from "./store.ts";

export type PasswordKind = "password" | "pin";

const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const;
/** Hashes at once: one core stays with requests, and the thread pool is not filled. */
const AT_ONCE = Math.min(2, Math.max(1, availableParallelism() - 1));
/** Hashes that may wait for their turn. */
const WAITING = 200;

let running = 0;
const queue: (() => void)[] = [];

/** @throws 503 when too many wait already. */
async function inTurn<T>(work: () => Promise<T>): Promise<T> {
  if (running >= AT_ONCE) {
    if (queue.length >= WAITING) throw refuse("temporarily_unavailable", { detail: "too many logins", retry_after: 1 });
    await new Promise<void>((resolve) => queue.push(resolve));
  } else running += 1;
  try {
    return await work();
  } finally {
    const next = queue.shift();
    if (next) next();
    else running -= 1;
  }
}

const argon2 = () => import("@node-rs/argon2");

export function hashPassword(text: Secret): Promise<string> {
  return inTurn(async () => (await argon2()).hash(reveal(text), PARAMETERS));
}

/** Of nobody: what is compared when there is nothing to compare with. */
let nobody: Promise<string> | undefined;

async function matches(hash: string | undefined, text: Secret): Promise<boolean> {
  nobody ??= argon2().then(({ hash: make }) => make("nobody's password", PARAMETERS));
  const against = hash ?? (await nobody);
  const same = await inTurn(async () => (await argon2()).verify(against, reveal(text)));
  return same && hash !== undefined;
}

/** Whether it is this user's; takes as long where there is no user. */
export async function checkPassword(
  { read }: Storage,
  account_id: string,
  user_id: string | undefined,
  kinds: readonly PasswordKind[],
  text: Secret,
): Promise<boolean> {
  const stored = user_id === undefined ? [] : await selectPassword(read, account_id, user_id);
  const kind = kinds.find((wanted) => stored.some((row) => row.kind === wanted && fits(wanted, text)));
  return matches(stored.find((row) => row.kind === kind)?.hash, text);
}

/** A PIN is six digits, anything else is a password. */
const fits = (kind: PasswordKind, text: Secret) => kind === "password" || /^\d{6}$/.test(reveal(text));

/** @throws 400 invalid_request. */
export function checkNewPassword(text: Secret, kind: PasswordKind, path: string): void {
  const { length } = reveal(text);
  if (kind === "pin" && !/^\d{6}$/.test(reveal(text))) throw refuseField(path, "format", "must be six digits");
  if (kind === "password" && (length < 8 || length > 255)) {
    throw refuseField(path, "length", "must have 8 to 255 characters");
  }
}

export interface HashedPassword {
  readonly kind: PasswordKind;
  readonly hash: string;
}

/** Hash before the transaction, store inside it. */
export async function storePassword(
  tx: Transaction,
  account_id: string,
  user_id: string,
  { kind, hash }: HashedPassword,
  now: number,
): Promise<void> {
  const updated_at: Instant = instant(now);
  await upsertPassword(tx.db, { account_id, user_id, kind, hash, updated_at });
}
