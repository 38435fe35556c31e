/**
 * Looking for a text in what people wrote, whatever the case. It is compared here and by pages: the engines' own `lower`
 * knows the letters of ASCII alone, and one statement over all rows of a tenant would leave nobody else a turn.
 */
import { inPages } from "./pages.ts";

/** Rows that are looked at before others have their turn. */
const LOOKED_AT = 200;

interface Searched<R> {
  readonly text: string;
  /** Rows that are enough. */
  readonly limit: number;
  /** id of the last row of the page before. */
  readonly starting_after: string | undefined;
  /** At most `limit` rows in the order of their ids, the first of them after `after`. */
  read(after: string, limit: number): Promise<readonly R[]>;
  readonly textsOf: (row: R) => readonly (string | null)[];
}

/** In their order, the ids of the rows in one of whose texts this one is found. */
export async function searchIds<R extends { readonly id: string }>(searched: Searched<R>): Promise<readonly string[]> {
  const { text, limit, starting_after = "", read, textsOf } = searched;
  const wanted = folded(text);
  const found: string[] = [];
  for await (const rows of inPages<R>(LOOKED_AT, (last) => read(last?.id ?? starting_after, LOOKED_AT))) {
    for (const row of rows) {
      if (textsOf(row).some((one) => one !== null && folded(one).includes(wanted))) found.push(row.id);
    }
    if (found.length >= limit) break;
  }
  return found.slice(0, limit);
}

/** Capitals, since there are two small letters for one sigma. */
const folded = (text: string) => text.normalize("NFC").toUpperCase();
