/**
 * The capability that issuing and checking tokens needs: the account's keys, and a memory of tokens that were checked in full.
 */
import type { MasterKeys } from "../secrets/master-keys.ts";
import { type BoundedMap, openBoundedMap } from "../storage/bounded-map.ts";
import { type Cache, openCache } from "../storage/cache.ts";
import { type InTurn, openInTurn } from "../storage/in-turn.ts";
import type { Storage } from "../storage/storage.ts";
import type { SigningKey } from "./keys/key.ts";
import type { AccessToken } from "./verify.ts";

export interface Tokens {
  readonly storage: Storage;
  readonly master_keys: MasterKeys;
  /** Opened keys by account, at most 5 s old. */
  readonly keys: Cache<readonly SigningKey[]>;
  /** Private keys stay opened by kid, because opening one is dear. */
  readonly opened: Map<string, SigningKey>;
  /** Readings of keys to publish, by account: the last that began, or the one that begins when that has ended. */
  readonly publishing: Map<string, KeyReading>;
  /** First keys that are being made, by account and algorithm. */
  readonly first_keys: Map<string, Promise<void>>;
  /**
   * Keys of one algorithm are made one after the other, whoever they are for: flushes wait for the same few threads.
   */
  readonly making: InTurn;
  /** Keys that accounts keep for good, opened; at most 5 s old, since a database may lose what it has just taken. */
  readonly account_keys: Cache<Uint8Array>;
  /** Tokens whose signature was right, by account and digest. */
  readonly verified: BoundedMap<AccessToken>;
}

export interface KeyReading {
  begun: boolean;
  readonly keys: Promise<readonly SigningKey[]>;
}

export function openTokens(storage: Storage, master_keys: MasterKeys): Tokens {
  return {
    ...{ storage, master_keys, keys: openCache<readonly SigningKey[]>() },
    ...{ publishing: new Map(), opened: new Map(), first_keys: new Map(), making: openInTurn() },
    ...{ account_keys: openCache<Uint8Array>(), verified: openBoundedMap() },
  };
}
