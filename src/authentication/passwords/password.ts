/**
 * Passwords and PINs of people, hashed slowly in a process of their own, so that a flood of logins slows nothing but itself.
 * Checking one for somebody who does not exist costs the same.
 *
 * In: a user and what they typed. Out: whether it is theirs. Who guesses is counted by `guesses`.
 */
import type { Account } from "../../directory/accounts/account.ts";
import { refuseField } from "../../errors.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { slowHash, slowVerify } from "../../secrets/slow-hash.ts";
import { type Instant, instant, type Storage, type Transaction } from "../../storage/storage.ts";
import { forgetGuesses } from "../guesses/guess.ts";
import { tellOfChange } from "../messages/tell-of-change.ts";
import {
  deletePasswords,
  deletePasswordsSetOver,
  lockPasswords,
  type PasswordRow,
  selectPassword,
  upsertPassword,
} from "./store.ts";

export type PasswordKind = "password" | "pin";

/** One text for what looks alike, whatever keyboard it was typed on (NIST SP 800-63B-4 §3.1.1.2). */
const stable = (text: Secret): Secret => secret(reveal(text).normalize("NFKC"));

export function hashPassword(account_id: string, text: Secret): Promise<string> {
  return slowHash(account_id, stable(text));
}

/** Of nobody: what is compared when there is nothing to compare with. */
let nobody: Promise<string> | undefined;

/** Made once; where there was no room to make it, the next login tries again, and only who waits for it hears of that. */
function hashOfNobody(account_id: string): Promise<string> {
  if (nobody) return nobody;
  const made = slowHash(account_id, secret("nobody's password"));
  made.catch(() => {
    nobody = undefined;
  });
  nobody = made;
  return made;
}

/** Takes as long where there is nothing to compare with. A hash from elsewhere may be that of the text as it is typed. */
async function matches(account_id: string, hash: string | undefined, text: Secret): Promise<boolean> {
  const of_nobody = hashOfNobody(account_id);
  const against = hash ?? (await of_nobody);
  const typed = stable(text);
  const same =
    (await slowVerify(account_id, against, typed)) ||
    (reveal(typed) !== reveal(text) && (await slowVerify(account_id, against, text)));
  return same && hash !== undefined;
}

/**
 * Which of these kinds it is of this person, or undefined. One look and one comparison are made, whoever it is, somebody who is
 * not known too: six digits are held against the PIN where there is one and it may be used, anything else against the password.
 */
export async function checkPassword(
  { read }: Storage,
  account_id: string,
  user_id: string,
  kinds: readonly PasswordKind[],
  text: Secret,
): Promise<PasswordRow | undefined> {
  const stored = await selectPassword(read, account_id, user_id);
  const usable = stored.filter(({ kind }) => kinds.includes(kind));
  const pin = /^\d{6}$/.test(reveal(text)) ? usable.find(({ kind }) => kind === "pin") : undefined;
  const row = pin ?? usable.find(({ kind }) => kind === "password");
  return (await matches(account_id, row?.hash, text)) ? row : undefined;
}

/** What tells a password that was shown from whatever took its place. */
export type ShownPassword = Pick<PasswordRow, "kind" | "updated_at">;

/**
 * Part of the transaction that lets somebody in: the password that they showed, since when it is theirs, is still
 * theirs; where they showed none, there is none. Whoever is about to write it holds it for `update`, because two who
 * share it would wait for each other, and the person before it.
 */
export async function passwordStands(
  tx: Transaction,
  { account_id, user_id }: { readonly account_id: string; readonly user_id: string },
  shown: ShownPassword | undefined,
  lock: "share" | "update" = "share",
): Promise<boolean> {
  const rows = await lockPasswords(tx.db, account_id, user_id, lock);
  if (!shown) return rows.every(({ kind }) => kind !== "password");
  return rows.some(({ kind, updated_at }) => kind === shown.kind && updated_at === shown.updated_at);
}

/** What a login showed, by its amr (RFC 8176), since a PIN may be as old as the password; undefined for neither. */
export const shownPassword = (amr: readonly string[], set_at: Instant | undefined): ShownPassword | undefined =>
  set_at ? { kind: amr.includes("pin") ? "pin" : "password", updated_at: set_at } : undefined;

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
  /** A code by mail was all that said who sets it. */
  readonly set_over?: "email";
}

/** Hash before the transaction, store inside it. */
export async function storePassword(
  tx: Transaction,
  account_id: string,
  user_id: string,
  { kind, hash, set_over }: HashedPassword,
  now: number,
): Promise<void> {
  const updated_at: Instant = instant(now);
  await upsertPassword(tx.db, { account_id, user_id, kind, hash, updated_at, set_over: set_over ?? null });
}

/** Neither password nor PIN is left. */
export function deletePassword(tx: Transaction, account_id: string, user_id: string): Promise<void> {
  return deletePasswords(tx.db, account_id, user_id);
}

/**
 * The person leaves the mailbox out of which they were set: whoever reads it had that said of them too. Part of that
 * transaction, which holds the person.
 */
export function leavePasswordsOfMail(tx: Transaction, account_id: string, user_id: string): Promise<void> {
  return deletePasswordsSetOver(tx.db, account_id, user_id, "email");
}

export async function hasPassword(storage: Storage, account_id: string, user_id: string): Promise<boolean> {
  return (await setSince(storage, account_id, user_id)) !== undefined;
}

/** When their password was set; undefined where there is none. */
export async function setSince({ read }: Storage, account_id: string, user_id: string): Promise<Instant | undefined> {
  return (await selectPassword(read, account_id, user_id)).find(({ kind }) => kind === "password")?.updated_at;
}

/**
 * Hashes what is given now; the answer stores it for whoever it turns out to be, and forgets guesses at what they had.
 *
 * @throws 400 invalid_request.
 */
export async function preparePasswords(
  account_id: string,
  given: { readonly password?: string; readonly pin?: string },
) {
  const hashed: HashedPassword[] = [];
  for (const kind of ["password", "pin"] as const) {
    const text = given[kind];
    if (text === undefined) continue;
    checkNewPassword(secret(text), kind, kind);
    hashed.push({ kind, hash: await hashPassword(account_id, secret(text)) });
  }
  return async (tx: Transaction, owner: { account_id: string; user_id: string }, now: number) => {
    for (const one of hashed) await storePassword(tx, owner.account_id, owner.user_id, one, now);
    await forgetGuesses(tx, owner);
  };
}

/** … of somebody who is there already, and hears of it. */
export async function prepareReplacements(account: Account, given: Parameters<typeof preparePasswords>[1]) {
  const store = await preparePasswords(account.account_id, given);
  return async (tx: Transaction, owner: { account_id: string; user_id: string }, now: number) => {
    await store(tx, owner, now);
    await tellOfChange(tx, account, owner.user_id, ["password_changed"], now);
  };
}
