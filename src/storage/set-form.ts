import type { Bindable } from "./storage.ts";

/** What a hot statement is asked, by its columns: how its two bodies name them, and what they are given. */
export interface SetForm<N extends string> {
  /** SQL for PostgreSQL: all inputs of a batch as the table `input`, numbered by `n`, out of one array a column. */
  readonly input: string;
  /** A column in PostgreSQL's body, where the table is called `i`. */
  field(column: N): string;
  /** A column in SQLite's body. */
  place(column: N): string;
  /** What SQLite's body is given of one input, column by column. */
  values(input: Readonly<Record<N, Bindable>>): readonly Bindable[];
  /** What PostgreSQL's is given: an array a column. */
  parameters(inputs: readonly Readonly<Record<N, Bindable>>[]): readonly (readonly Bindable[])[];
}

/**
 * SQL for PostgreSQL, of what comes out of arrays by its number `n`: has it believed that there is one, as there mostly is. Else
 * a plan for any number seems dearer than one that is made for each call, which takes longer than most statements do.
 */
export const ONE = "n between 1 and 1000000";

/** Columns are texts on PostgreSQL, save those that are named as `integers`. */
export function setForm<N extends string>(columns: readonly N[], integers: readonly NoInfer<N>[] = []): SetForm<N> {
  const arrays = columns.map((name, index) => `$${index + 1}::${integers.includes(name) ? "bigint" : "text"}[]`);
  return {
    input: `input as materialized (
    select * from unnest(${arrays.join(", ")})
      with ordinality as input (${columns.join(", ")}, n)
    where ${ONE}
  )`,
    field: (column) => `i.${column}`,
    place: (column) => `?${columns.indexOf(column) + 1}`,
    values: (input) => columns.map((column) => input[column]),
    parameters: (inputs) => columns.map((column) => inputs.map((input) => input[column])),
  };
}
