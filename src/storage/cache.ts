import { isDeepStrictEqual } from "node:util";
import { openBoundedMap } from "./bounded-map.ts";

/**
 * Reads that a request path repeats: clients, grants, accounts, keys. At most `ttl` old, so another process's change is
 * seen in time; forgotten at once by the process that wrote. A miss is never kept, so what one process created the next
 * can use. Serves refusals and shaping only: what may be spent is decided by the spending statement.
 */
export interface Cache<V> {
  /** Concurrent loads of one key are one load. */
  get(key: string, load: () => Promise<V | undefined>): Promise<V | undefined>;
  /**
   * For a caller who does not find in the value of `get` what another process may have made since: loads it again, at
   * most about once a second a key however many ask. Meanwhile `get` gives what is known. Nothing where `get` has just
   * found nothing; the very same value where it has not changed.
   */
  reload(key: string, load: () => Promise<V | undefined>): Promise<V | undefined>;
  /** What is known, however old. */
  peek(key: string): V | undefined;
  forget(key: string): void;
  clear(): void;
}

interface Entry<V> {
  readonly value: V;
  readonly loaded_at: number;
  /** By a reload. */
  readonly again: boolean;
}

/** Milliseconds from one reload of a key to the next. */
const RELOAD = 1_000;

export interface CacheOptions<V> {
  /** Characters that a value holds, where its maker chose how many; left out where all values are about as large. */
  readonly sizeOf?: ((value: V) => number) | undefined;
  /** Milliseconds. */
  readonly ttl?: number | undefined;
  /** Most entries. */
  readonly limit?: number | undefined;
  /** Any clock that never goes back. */
  readonly monotonic?: (() => number) | undefined;
}

export function openCache<V>(options: CacheOptions<V> = {}): Cache<V> {
  const { sizeOf = () => 0, ttl = 5_000, limit, monotonic = performance.now.bind(performance) } = options;
  const entries = openBoundedMap<Entry<V>>(limit);
  const loads = new Map<string, Promise<V | undefined>>();

  async function fill(key: string, load: () => Promise<V | undefined>, again = false): Promise<V | undefined> {
    const loaded_at = monotonic();
    const pending = load();
    loads.set(key, pending);
    try {
      const loaded = await pending;
      const known = again ? entries.get(key)?.value : undefined;
      const value = isDeepStrictEqual(loaded, known) ? known : loaded;
      // A key forgotten while it loaded may have loaded the old row.
      if (loads.get(key) === pending) {
        entries.delete(key);
        if (value !== undefined) entries.set(key, { value, loaded_at, again }, sizeOf(value));
      }
      return value;
    } finally {
      if (loads.get(key) === pending) loads.delete(key);
    }
  }

  return {
    async get(key, load) {
      const entry = entries.get(key);
      if (entry && monotonic() - entry.loaded_at < ttl) return entry.value;
      return loads.get(key) ?? fill(key, load);
    },
    async reload(key, load) {
      const pending = loads.get(key);
      if (pending !== undefined) return pending;
      const entry = entries.get(key);
      if (!entry || (entry.again && monotonic() - entry.loaded_at < RELOAD)) return entry?.value;
      return fill(key, load, true);
    },
    peek: (key) => entries.get(key)?.value,
    forget(key) {
      entries.delete(key);
      loads.delete(key);
    },
    clear() {
      entries.clear();
      loads.clear();
    },
  };
}

/** For what came of rows, of which tenants say how large they are. */
export const openRowCache = <V>(): Cache<V> => openCache({ sizeOf: (value) => JSON.stringify(value).length });
