import { hash } from "node:crypto";

/** A text that came so often will come again; lists of every length come and go. */
const OFTEN = 10;
/** Each connection keeps so many at most, in the database's memory. */
const NAMED = 100;
/** Texts that are counted; then counting begins anew. */
const COUNTED = 1_000;
/** Names of texts that differ in the lengths of their lists alone: whoever asks says how long those are. */
const ALIKE = 3;

/** A text with its lists of parameters, and its lists of such lists, as if they had one entry. */
const shapeOf = (text: string) => text.replace(/\$\d+(?:, \$\d+)*/g, "$").replace(/\(\$\)(?:, \(\$\))+/g, "($)");

/**
 * A name for each text that comes often: PostgreSQL parses it once a connection, and plans it anew only while that is worth it.
 *
 * Statements name their columns (`columns` in tables.ts): once a newer process had migrated, one that takes all there are would
 * fail. No name for what has no parameters, which may be several statements in one text.
 */
export function openStatementNames(): (text: string, values: readonly unknown[]) => string | undefined {
  const names = new Map<string, string>();
  const counts = new Map<string, number>();
  const alike = new Map<string, number>();
  return (text, values) => {
    const known = names.get(text);
    if (known !== undefined || names.size >= NAMED) return known;
    if (values.length === 0) return undefined;
    const count = (counts.get(text) ?? 0) + 1;
    if (count < OFTEN) {
      if (counts.size >= COUNTED) counts.clear();
      counts.set(text, count);
      return undefined;
    }
    counts.delete(text);
    const shape = shapeOf(text);
    const named = alike.get(shape) ?? 0;
    if (named >= ALIKE) return undefined;
    alike.set(shape, named + 1);
    // The same in every process: behind a pooler they share connections.
    const name = `q_${hash("sha256", text, "hex").slice(0, 32)}`;
    names.set(text, name);
    return name;
  };
}
