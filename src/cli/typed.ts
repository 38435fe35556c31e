/**
 * Settings on the command line, `key=value`: a value is JSON where it is JSON, else a text. An empty one is null at a setting
 * that may be null. They are shown as they are typed.
 */
import { InvalidArgumentError } from "commander";
import type { Static, TSchema } from "typebox";
import { didYouMean } from "../config/misspelled.ts";
import { type Fault, Refusal, refuseField } from "../errors.ts";
import { malformed } from "../http/error-reply.ts";
import { readJson } from "../http/json.ts";
import { checkSchema } from "./check-schema.ts";

/** What was typed behind each key. */
export type Typed = Readonly<Record<string, string>>;

export const typed_argument = [
  "<settings...>",
  "key=value: JSON where it is JSON, else a text; key= or key=null where it may be null",
] as const;

/** Takes one word after the other, for `argument`. */
export function collectTyped(word: string, before: Typed = {}): Typed {
  const at = word.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("Write key=value.");
  const [key, text] = [word.slice(0, at), word.slice(at + 1)];
  if (Object.hasOwn(before, key)) throw new InvalidArgumentError(`${key} is there twice.`);
  return { ...before, [key]: text };
}

/** The change that was typed. @throws 400 invalid_request naming every key that is at fault, and what was meant. */
export async function readTyped<T extends TSchema>(schema: T, typed: Typed): Promise<Static<T>> {
  const { properties } = schema as unknown as { readonly properties: Readonly<Record<string, Property>> };
  const values = Object.entries(typed).map(([key, text]) => [key, parsed(key, text, properties[key])]);
  return checkSchema(schema, Object.fromEntries(values)).catch((error: unknown) => {
    const faults = error instanceof Refusal ? error.options.errors : undefined;
    throw faults ? malformed(faults.map((fault) => explained(fault, Object.keys(properties)))) : error;
  });
}

function explained(fault: Fault, known: readonly string[]): Fault {
  const { path, code, message } = fault;
  if (code === "unknown") return { ...fault, message: message + didYouMean(path, known) };
  const is_list = code === "type" && message.endsWith("an array") && known.includes(path);
  return is_list ? { ...fault, message: `${message}: JSON, such as ${path}='["…"]'` } : fault;
}

interface Property {
  readonly anyOf?: readonly { readonly type?: string }[];
}

function parsed(key: string, text: string, property: Property | undefined): unknown {
  if (text === "") return property?.anyOf?.some(({ type }) => type === "null") ? null : "";
  const { value, fault } = readJson(text);
  if (!fault) return value;
  if (fault.code === "json") return text;
  throw refuseField(key, fault.code, fault.message);
}

/** Characters that a terminal obeys or does not show. */
const HIDDEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

const escaped = (character: string) =>
  character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");

function shownAs(value: unknown): string {
  const json = JSON.stringify(value).replace(HIDDEN, escaped);
  const is_plain = typeof value === "string" && value !== "" && json === `"${value}"` && "fault" in readJson(value);
  return is_plain ? value : json;
}

/** A line for each field. */
export function fieldLines(fields: object): readonly string[] {
  const shown = Object.entries(fields);
  const width = Math.max(...shown.map(([name]) => name.length));
  return shown.map(([name, value]) => `  ${name.padEnd(width)}  ${shownAs(value)}`);
}

/** What a change that was made says of itself. */
export const TAKEN_SOON = "set, and known to every server within five seconds";
