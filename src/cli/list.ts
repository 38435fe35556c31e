/**
 * Lists of any length: what is read is printed, a page at a time. For programs a JSON array, for people a table.
 */
import { oneLine } from "../http/one-line.ts";
import { type Output, writeStandard } from "./run.ts";

type Pages<T> = AsyncIterable<readonly T[]>;

export interface Listing<T> {
  /** An item as a program reads it. */
  readonly view: (item: T) => object;
  /** The width of each column by its title. They do not follow from what is in them, which is not known yet. */
  readonly columns: Readonly<Record<string, number>>;
  readonly cells: (item: T) => readonly string[] | Promise<readonly string[]>;
  /** What to do where there is nothing. */
  readonly none: string;
}

/** That nobody reads it to its end is no failure. */
export async function printList<T>(pages: Pages<T>, listing: Listing<T>, { json }: Output): Promise<void> {
  for await (const text of json ? arrayOf(pages, listing) : tableOf(pages, listing))
    if (!(await writeStandard(text))) return;
}

async function* arrayOf<T>(pages: Pages<T>, { view }: Listing<T>): AsyncGenerator<string> {
  let before = "[";
  for await (const page of pages) {
    yield before + page.map((item) => JSON.stringify(view(item))).join(",");
    before = ",";
  }
  yield before === "[" ? "[]\n" : "]\n";
}

async function* tableOf<T>(pages: Pages<T>, { columns, cells, none }: Listing<T>): AsyncGenerator<string> {
  const widths = Object.values(columns);
  const lineOf = (texts: readonly string[]) =>
    `${texts
      .map((text, at) => cell(text, widths[at]))
      .join("  ")
      .trimEnd()}\n`;
  let [text, is_cut] = [lineOf(Object.keys(columns)), false];
  let any = false;
  for await (const page of pages) {
    for (const item of page) {
      const texts = await cells(item);
      is_cut ||= texts.some((one, at) => [...one].length > (widths[at] ?? 0));
      text += lineOf(texts);
    }
    yield text;
    [text, any] = ["", true];
  }
  if (!any) yield `${none}\n`;
  else if (is_cut) yield "What ends in … goes on: --json prints all of it.\n";
}

/** What somebody else may have chosen, without what a terminal would obey. */
function cell(text: string, width = 0): string {
  const line = oneLine(text, width);
  // What has no width of its own.
  const shown = [...line.replace(/[\p{Cf}\p{Mn}]/gu, "")].length;
  return line + " ".repeat(Math.max(0, width - shown));
}
