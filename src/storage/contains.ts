import { type RawBuilder, sql } from "kysely";

/**
 * SQL: whether a column holds this text, whatever the case. The engines' own `lower` knows the letters of ASCII alone,
 * so every further letter that is looked for is lowered by its name.
 */
export function contains(column: string, text: string): RawBuilder<boolean> {
  const wanted = text.toLowerCase();
  const further = [...new Set(wanted)].filter((letter) => letter > "\x7f" && letter.toUpperCase() !== letter);
  const lowered = further.reduce(
    (inner, letter) => sql`replace(${inner}, ${letter.toUpperCase()}, ${letter})`,
    sql`lower(${sql.ref(column)})`,
  );
  return sql<boolean>`${lowered} like ${`%${wanted.replace(/[\\%_]/g, "\\$&")}%`} escape '\\'`;
}
