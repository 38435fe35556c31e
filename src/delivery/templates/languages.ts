import { da } from "./da.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { nb } from "./nb.ts";
import { sv } from "./sv.ts";
import type { Template } from "./template.ts";

const languages = new Map<string, Template>(Object.entries({ en, nb, nn: nb, no: nb, sv, da, de }));

/** By the primary language of a BCP 47 tag. */
const find = (tag: string): Template | undefined => languages.get(tag.toLowerCase().split("-")[0] ?? "");

/** The template for a BCP 47 tag; English where there is none. */
export function templateOf(locale: string): Template {
  return find(locale) ?? en;
}

/** The language of the first of these tags that there is a template for. */
export function languageOf(tags: readonly string[]): string | undefined {
  return tags.map((tag) => find(tag)?.language).find(Boolean);
}
