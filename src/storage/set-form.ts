/** A column of what hot statements are asked: its name, and its type on PostgreSQL. */
export type Column<N extends string = string> = readonly [name: N, type: "text" | "bigint"];

/**
 * SQL for PostgreSQL, of what comes out of arrays by its number `n`: has it believed that there is one, as there mostly is. Else
 * a plan for any number seems dearer than one that is made for each call, which takes longer than most statements do.
 */
export const ONE = "n between 1 and 1000000";

/** SQL for PostgreSQL: all inputs of a batch as the table `input`, numbered by `n`, out of one array a column. */
export const inputOf = (columns: readonly Column[]): string =>
  `input as materialized (
    select * from unnest(${columns.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")})
      with ordinality as input (${columns.map(([name]) => name).join(", ")}, n)
    where ${ONE}
  )`;
