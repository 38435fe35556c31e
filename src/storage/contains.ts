import { type RawBuilder, sql } from "kysely";

/** SQLite's parser takes some thirty calls within one another. */
const NESTED = 16;

/**
 * SQL: whether a column holds this text, whatever the case. The engines' own `lower` knows the letters of ASCII alone,
 * so every further letter that is looked for is lowered by its name.
 */
export function contains(column: string, text: string): RawBuilder<boolean> {
  const wanted = text.toLowerCase();
  const further = [...new Set(wanted)].filter((letter) => letter > "\x7f" && letter.toUpperCase() !== letter);
  const lowered = lower(sql`lower(${sql.ref(column)})`, further);
  return sql<boolean>`${lowered} like ${`%${wanted.replace(/[\\%_]/g, "\\$&")}%`} escape '\\'`;
}

/** However many letters, step by step. */
function lower(column: RawBuilder<unknown>, letters: readonly string[]): RawBuilder<unknown> {
  const begun = replaceEach(column, letters.slice(0, NESTED));
  const steps = [sql`step0 (lowered) as (select ${begun})`];
  for (let from = NESTED; from < letters.length; from += NESTED) {
    const replaced = replaceEach(sql.ref("lowered"), letters.slice(from, from + NESTED));
    steps.push(sql`${step(steps.length)} (lowered) as (select ${replaced} from ${step(steps.length - 1)})`);
  }
  if (steps.length === 1) return begun;
  return sql`(with ${sql.join(steps)} select lowered from ${step(steps.length - 1)})`;
}

const step = (index: number) => sql.table(`step${index}`);

const replaceEach = (text: RawBuilder<unknown>, letters: readonly string[]) =>
  letters.reduce((inner, letter) => sql`replace(${inner}, ${letter.toUpperCase()}, ${letter})`, text);
