/**
 * The directory: who exists and what they may ask for. Accounts, clients, grants, connections, roles and users, each in a room of
 * its own; this is the capability that their verbs take.
 *
 * Reads on a request path come from caches (at most 5 s old) and serve refusals and shaping only. Every change forgets what
 * it changed at once, and every delete revokes in its own transaction what was issued to whom it deleted.
 */

import type { Revocations } from "../revocation/revocation.ts";
import type { MasterKeys } from "../secrets/master-keys.ts";
import { type Cache, openCache, openRowCache } from "../storage/cache.ts";
import { type InTurn, openInTurn } from "../storage/in-turn.ts";
import type { Storage } from "../storage/storage.ts";
import type { Account } from "./accounts/account.ts";
import type { Client } from "./clients/client.ts";
import type { StoredSecret } from "./clients/secret.ts";
import type { Looked } from "./clients/untried.ts";
import type { Connection } from "./connections/connection.ts";
import type { Grant } from "./grants/grant.ts";

export interface Directory {
  readonly storage: Storage;
  readonly master_keys: MasterKeys;
  readonly revocations: Revocations;
  /** Base of issuers, without a slash at its end. */
  readonly public_url: string;
  readonly accounts: Cache<Account>;
  /** By `account client_id` and by `account uuid`. */
  readonly clients: Cache<Client>;
  /** By account: the client that logs its account users in, if there is one. */
  readonly staff_clients: Cache<{ readonly client: Client | undefined }>;
  /** By `account uuid`: what a client may show. */
  readonly secrets: Cache<readonly StoredSecret[]>;
  /** By `account uuid`: all live grants of a client. */
  readonly grants: Cache<readonly Grant[]>;
  readonly connections: Cache<readonly Connection[]>;
  /** By `account origin`: what was found among strangers' clients, at most a minute ago. */
  readonly untried: Cache<Looked>;
  /** Lines in which work waits for its turn; the functions below say which an account has. */
  readonly inTurn: InTurn;
}

export interface DirectoryOptions {
  readonly storage: Storage;
  readonly master_keys: MasterKeys;
  readonly revocations: Revocations;
  readonly public_url: string;
}

export function openDirectory(options: DirectoryOptions): Directory {
  return {
    ...options,
    accounts: openRowCache(),
    clients: openRowCache(),
    staff_clients: openRowCache(),
    secrets: openRowCache(),
    grants: openRowCache(),
    connections: openRowCache(),
    untried: openCache({ ttl: 60_000 }),
    inTurn: openInTurn(),
  };
}

/**
 * One search of an account at a time: each takes turns from everybody, and any number would take each turn together.
 *
 * @throws 503 temporarily_unavailable when too many wait.
 */
export const searchInTurn = <T>({ inTurn }: Directory, account_id: string, search: () => Promise<T>): Promise<T> =>
  inTurn(`search ${account_id}`, search);

/**
 * One look at what all of an account's people hold at a time: each takes turns from everybody.
 *
 * @throws 503 temporarily_unavailable when too many wait.
 */
export const lookInTurn = <T>({ inTurn }: Directory, account_id: string, look: () => Promise<T>): Promise<T> =>
  inTurn(`look ${account_id}`, look);

/**
 * What somebody is given, while no role changes: by both it would be more than they may hold. One person, named by `who`,
 * is given one thing after the other.
 *
 * @throws 503 temporarily_unavailable when too many wait.
 */
export function giveInTurn<T>(
  { inTurn }: Directory,
  account_id: string,
  who: string | undefined,
  give: () => Promise<T>,
): Promise<T> {
  const beside = () => inTurn(`give ${account_id}`, give, "together");
  return who === undefined ? beside() : inTurn(`give ${account_id} ${who}`, beside);
}

/**
 * What a role gives to all who have it, one role after the other, and while nobody is given anything else.
 *
 * @throws 503 temporarily_unavailable when too many wait.
 */
export const changeInTurn = <T>({ inTurn }: Directory, account_id: string, change: () => Promise<T>): Promise<T> =>
  inTurn(`give ${account_id}`, change);

/**
 * What clients may ask for, one change of an account after the other: each reads all that its client has, refused or not, and
 * holds the account meanwhile.
 *
 * @throws 503 temporarily_unavailable when too many wait.
 */
export const grantInTurn = <T>({ inTurn }: Directory, account_id: string, change: () => Promise<T>): Promise<T> =>
  inTurn(`grants ${account_id}`, change);

/**
 * Room for strangers' clients, for one newcomer of an account after the other: each holds the account meanwhile.
 *
 * @throws 503 temporarily_unavailable when too many wait.
 */
export const makeRoomInTurn = <T>({ inTurn }: Directory, account_id: string, make: () => Promise<T>): Promise<T> =>
  inTurn(`room ${account_id}`, make);

export const cacheKey = (account_id: string, name: string) => `${account_id} ${name}`;

/** Who changes the directory, from where: a bearer's subject, or the name of the command. */
export interface Actor {
  readonly id: string;
  readonly context: Readonly<Record<string, unknown>>;
}
