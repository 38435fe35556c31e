import { endSessionsOf } from "../../authentication/sessions/sessions.ts";
import type { Directory } from "../../directory/directory.ts";
import { type Revoked, revoke } from "../../directory/revoke.ts";
import { noteLoginsEnded } from "../../directory/users/logins-ended.ts";
import type { Secret } from "../../secrets/secret.ts";
import { type Instant, instant, type Transaction } from "../../storage/storage.ts";
import { type Family, readRefreshToken } from "./family.ts";
import { selectFamiliesOf, selectFamily, selectLiveFamily, upsertRevoked } from "./store.ts";

/** Ends a family with every access token of it. */
export const revokeFamily = (
  directory: Directory,
  { account_id, id }: Pick<Family, "account_id" | "id">,
  by: Pick<Revoked, "actor" | "facts">,
): Promise<void> => revoke(directory, { account_id, entity: id, ...by });

/** For the revocations: authorizations that end take their refresh tokens along, and none begins after it. */
export const endFamilies = (
  tx: Transaction,
  account_id: string,
  sids: readonly string[],
  now: Instant,
): Promise<void> => upsertRevoked(tx.db, account_id, sids, now);

/** Every login with refresh tokens that a client holds of a person: each is an authorization to revoke. */
export const familiesAt = (
  { db }: Transaction,
  holding: Pick<Family, "account_id" | "user_id" | "client_id">,
): Promise<readonly string[]> => selectFamiliesOf(db, holding);

interface PersonsLogins {
  readonly account_id: string;
  readonly user_id: string;
  /** `sid` of the one that goes on; empty for none. */
  readonly except: string;
}

/**
 * Ends every login of a person but the one at hand, because their password has changed: part of that transaction, once it
 * holds the password's row, for which whoever logs in by the one before waits. Then it holds the person's, for which
 * whoever else logs in waits, and looks for what they have begun. Browsers in which they are logged in are logged out;
 * what nothing tells of ends by the time at which it began.
 */
export async function endOtherLogins(
  tx: Transaction,
  { storage, revocations }: Directory,
  { account_id, user_id, except }: PersonsLogins,
): Promise<void> {
  const now = storage.now();
  await noteLoginsEnded(tx, { account_id, user_id }, instant(now));
  const led = await endSessionsOf(tx, { account_id, user_id, except }, now);
  const lasting = await selectFamiliesOf(tx.db, { account_id, user_id });
  const ended = lasting.filter((sid) => sid !== except).map((sid) => `sid:${sid}`);
  await revocations.record(tx, account_id, [...led, ...ended]);
  await revocations.endLogins(tx, account_id, { user_id, except }, now);
}

/** As `endOtherLogins`, for whoever sets the password in a person's place: none goes on. */
export const endLoginsOf = (
  tx: Transaction,
  directory: Directory,
  { account_id, user_id }: { readonly account_id: string; readonly user_id: string },
): Promise<void> => endOtherLogins(tx, directory, { account_id, user_id, except: "" });

export function lookUpFamily({ storage }: Directory, account_id: string, id: string): Promise<Family | undefined> {
  return selectFamily(storage.read, account_id, id);
}

/** The family of a refresh token that somebody here made, whatever became of either. */
export async function lookUpFamilyOf(
  directory: Directory,
  account_id: string,
  token: Secret,
): Promise<Family | undefined> {
  const read = readRefreshToken(directory.master_keys, account_id, token);
  return read && lookUpFamily(directory, account_id, read.family_id);
}

/** The family of a refresh token that would be taken now. */
export async function lookUpLiveFamily(
  directory: Directory,
  account_id: string,
  token: Secret,
): Promise<Family | undefined> {
  const read = readRefreshToken(directory.master_keys, account_id, token);
  if (!read) return undefined;
  const { storage } = directory;
  const family = await selectLiveFamily(storage.read, account_id, read.family_id, instant(storage.now()));
  return family?.generation === read.generation ? family : undefined;
}
