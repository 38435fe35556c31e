import { da } from "./da.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { nb } from "./nb.ts";
import { sv } from "./sv.ts";
import type { Texts } from "./texts.ts";

const known = new Map<string, Texts>(Object.entries({ en, nb, no: nb, nn: nb, sv, da, de }));

export const languages = ["en", "nb", "sv", "da", "de"] as const;

/** The texts of the first of these tags that there are any for; English else. */
export function textsFor(tags: readonly (string | undefined)[]): Texts {
  for (const tag of tags) {
    const texts = known.get(tag?.toLowerCase().split("-")[0] ?? "");
    if (texts) return texts;
  }
  return en;
}
