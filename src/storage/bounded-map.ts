/** Characters of a map that is not told how many. */
const LARGEST = 16 * 1_024 * 1_024;

/** What a process keeps although it could be had again: when it is full, the oldest make room for what comes. */
export interface BoundedMap<V> {
  /** Entries. */
  readonly size: number;
  get(key: string): V | undefined;
  has(key: string): boolean;
  /** `characters`: how many the value holds, where tenants or strangers say so; else 0. */
  set(key: string, value: V, characters: number): void;
  delete(key: string): void;
  clear(): void;
}

/** `limit`: most entries. `largest`: characters that all values hold together, unless one alone holds more. */
export function openBoundedMap<V>(limit = 10_000, largest = LARGEST): BoundedMap<V> {
  const entries = new Map<string, { readonly value: V; readonly characters: number }>();
  let held = 0;

  function drop(key: string): void {
    held -= entries.get(key)?.characters ?? 0;
    entries.delete(key);
  }

  return {
    get size() {
      return entries.size;
    },
    get: (key) => entries.get(key)?.value,
    has: (key) => entries.has(key),
    set(key, value, characters) {
      drop(key);
      for (const oldest of entries.keys()) {
        if (entries.size < limit && held + characters <= largest) break;
        drop(oldest);
      }
      entries.set(key, { value, characters });
      held += characters;
    },
    delete: drop,
    clear() {
      entries.clear();
      held = 0;
    },
  };
}
