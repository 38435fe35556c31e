/**
 * A file that is imported, as the value that its JSON stands for. Of one with a row a line, as an export writes it, no
 * more than a line is held as text, since V8 makes no string longer than some 500 MB; other JSON is read whole.
 */
import { constants } from "node:buffer";
import { refuseField } from "../../errors.ts";
import { BEGINNING, type PortableRow } from "./portable.ts";

const LF = 10;
const TOO_LONG = `is longer than ${constants.MAX_STRING_LENGTH} bytes, and has not one row a line as this \
version's latchkey export writes it: export the account again with it; of another system, its users in several files`;

/** @throws 400 invalid_request: the file is not JSON in UTF-8, or other than an export and too long. */
export async function readDocument(pieces: AsyncIterable<Buffer>): Promise<unknown> {
  const source = pieces[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length <= BEGINNING.length) {
    const { value, done } = await source.next();
    if (done) break;
    head = Buffer.concat([head, value]);
  }
  const all = following(head, source);
  const by_line = head.toString("utf8", 0, BEGINNING.length + 1) === `${BEGINNING}\n`;
  return by_line ? parseLines(all) : parse(await readWhole(all));
}

async function* following(head: Buffer, source: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  yield head;
  yield* { [Symbol.asyncIterator]: () => source };
}

async function readWhole(pieces: AsyncIterable<Buffer>): Promise<string> {
  const held: Buffer[] = [];
  let length = 0;
  for await (const piece of pieces) {
    length += piece.length;
    if (length > constants.MAX_STRING_LENGTH) throw refuseField("the file", "too_long", TOO_LONG);
    held.push(piece);
  }
  return textOf(Buffer.concat(held));
}

/** Rows are read each by itself; what is left without them is small, and JSON that has them nowhere. */
async function parseLines(pieces: AsyncIterable<Buffer>): Promise<unknown> {
  const tables = new Map<string, PortableRow[]>();
  const frame: string[] = [];
  const numbers: number[] = [];
  let rows: PortableRow[] | undefined;
  let number = 0;
  for await (const line of linesOf(pieces)) {
    number += 1;
    if (rows && line.startsWith("{")) {
      rows.push(parse(line.replace(/,$/, ""), `has a row in line ${number} that`) as PortableRow);
      continue;
    }
    const table = /^"(\w+)":\[$/.exec(line)?.[1];
    rows = table === undefined ? undefined : [];
    if (table !== undefined && rows) tables.set(table, rows);
    frame.push(line);
    numbers.push(number);
  }
  return parse(frame.join("\n"), numbers, (name, value) => tables.get(name) ?? value);
}

/** By bytes: a character may lie in two pieces, and in a row may stand what other readers of lines take for an end. */
async function* linesOf(pieces: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let held: Buffer[] = [];
  for await (const piece of pieces) {
    let from = 0;
    for (let end = piece.indexOf(LF); end >= 0; end = piece.indexOf(LF, from)) {
      yield textOf(Buffer.concat([...held, piece.subarray(from, end)]));
      held = [];
      from = end + 1;
    }
    held.push(piece.subarray(from));
  }
  yield textOf(Buffer.concat(held));
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw refuseField("the file", "encoding", "is not UTF-8: an older system may have written it in another encoding");
  }
}

/** `within`: what the text is of the file, where it is a part of it, or the number that each of its lines has there. */
function parse(
  text: string,
  within?: string | readonly number[],
  reviver?: (name: string, value: unknown) => unknown,
): unknown {
  try {
    return JSON.parse(text, reviver);
  } catch {
    const what =
      typeof within === "string" ? `${within} is not valid JSON` : `is not valid JSON: ${placeOf(text, within)}`;
    throw refuseField("the file", "json", what);
  }
}

/** Line and column; nothing of what stands there, which may be a secret. */
function placeOf(text: string, numbers?: readonly number[]): string {
  const position = faultOf(text);
  if (position >= text.trimEnd().length) return "it ends before its JSON does";
  const before = text.slice(0, position).split("\n");
  return `see line ${numbers?.[before.length - 1] ?? before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
}

/** How much of a text begins some JSON: of the commonest faults the parser names no place, but it knows a beginning. */
function faultOf(text: string): number {
  const named = stopOf(text);
  if (named !== undefined) return named;
  let [sound, faulty] = [0, text.length];
  while (faulty - sound > 1) {
    const middle = (sound + faulty) >> 1;
    if (stopOf(text.slice(0, middle)) === middle) sound = middle;
    else faulty = middle;
  }
  return sound;
}

/** Where the parser stops, if it says so: not in what it quotes of the text, which ends in a quotation mark. */
function stopOf(text: string): number | undefined {
  try {
    JSON.parse(text);
    return text.length;
  } catch (error) {
    const said = String(error);
    if (/end of JSON input$/.test(said)) return text.length;
    const position = said.match(/at position (\d+)[^"]*$/)?.[1];
    return position === undefined ? undefined : Number(position);
  }
}
