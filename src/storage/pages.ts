/** The event loop turns: SQLite answers without that, and so do streams that nobody slows down. */
export const nextTurn = (): Promise<void> => new Promise((turn) => setImmediate(turn));

/** A list in parts of `size`, in its order; the last may be shorter. Of an empty list nothing. */
export function* slices<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < all.length; from += size) yield all.slice(from, from + size);
}

/**
 * Rows by pages: of any number of them no more than a page lies in memory, and the event loop turns in between.
 *
 * `read` gives the rows that come after one, in an order in which no two are equal; at most `limit`, and fewer only at
 * the end.
 */
export async function* inPages<R>(
  limit: number,
  read: (after: R | undefined) => Promise<readonly R[]>,
): AsyncGenerator<readonly R[]> {
  for (let last: R | undefined; ; ) {
    const rows = await read(last);
    if (rows.length > 0) yield rows;
    last = rows[limit - 1];
    if (last === undefined) return;
    await nextTurn();
  }
}
