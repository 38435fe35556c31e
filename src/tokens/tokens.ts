/**
 * The capability that issuing and checking tokens needs: the account's keys, and a memory of tokens that were checked in full.
 */
import type { MasterKeys } from "../secrets/master-keys.ts";
import { type BoundedMap, openBoundedMap } from "../storage/bounded-map.ts";
import { type Cache, openCache } from "../storage/cache.ts";
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
  /** First keys that are being made, by account and algorithm. */
  readonly first_keys: Map<string, Promise<void>>;
  /** Keys that accounts keep for good: some of them, opened. */
  readonly account_keys: Map<string, Uint8Array>;
  /** Tokens whose signature was right, by account and digest. */
  readonly verified: BoundedMap<AccessToken>;
}

export function openTokens(storage: Storage, master_keys: MasterKeys): Tokens {
  return {
    ...{ storage, master_keys, keys: openCache<readonly SigningKey[]>() },
    ...{ opened: new Map(), first_keys: new Map(), account_keys: new Map(), verified: openBoundedMap() },
  };
}
