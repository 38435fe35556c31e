/** A column of what hot statements are asked: its name, and its type on PostgreSQL. */
export type Column<N extends string = string> = readonly [name: N, type: "text" | "bigint"];

/**
 * SQL for PostgreSQL: all inputs of a batch as the table `input`, numbered by `n`, out of one array a column. That their numbers
 * lie between two has it believed that there is one, as there mostly is: else a plan for any number seems dearer than one that
 * is made for each call, which takes longer than most statements do.
 */
export const inputOf = (columns: readonly Column[]): string =>
  `input as materialized (
    select * from unnest(${columns.map(([, type], index) => `$${index + 1}::${type}[]`).join(", ")})
      with ordinality as input (${columns.map(([name]) => name).join(", ")}, n)
    where n between 1 and 1000000
  )`;
