/**
 * Reads that a request path repeats: clients, grants, accounts, keys. At most `ttl` old, so another process's change is
 * seen in time; forgotten at once by the process that wrote. A miss is never kept, so what one process created the next
 * can use. Serves refusals and shaping only: what may be spent is decided by the spending statement.
 */
export interface Cache<V> {
  /** Concurrent loads of one key are one load. */
  get(key: string, load: () => Promise<V | undefined>): Promise<V | undefined>;
  forget(key: string): void;
  clear(): void;
}

interface Entry<V> {
  readonly value: V;
  readonly loaded_at: number;
}

/** `ttl` in milliseconds; `monotonic` is any clock that never goes back. */
export function openCache<V>(
  ttl = 5_000,
  limit = 10_000,
  monotonic: () => number = performance.now.bind(performance),
): Cache<V> {
  const entries = new Map<string, Entry<V>>();
  const loads = new Map<string, Promise<V | undefined>>();

  async function fill(key: string, load: () => Promise<V | undefined>): Promise<V | undefined> {
    const loaded_at = monotonic();
    const pending = load();
    loads.set(key, pending);
    try {
      const value = await pending;
      // A key forgotten while it loaded may have loaded the old row.
      if (value !== undefined && loads.get(key) === pending) {
        if (entries.size >= limit) dropOldest(entries);
        entries.set(key, { value, loaded_at });
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
      entries.delete(key);
      return loads.get(key) ?? fill(key, load);
    },
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

function dropOldest(entries: Map<string, unknown>): void {
  const oldest = entries.keys().next();
  if (!oldest.done) entries.delete(oldest.value);
}
