import { da } from "./da.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { nb } from "./nb.ts";
import { sv } from "./sv.ts";
import type { Texts } from "./texts.ts";

const known: Readonly<Record<string, Texts>> = { en, nb, no: nb, nn: nb, sv, da, de };

export const languages = ["en", "nb", "sv", "da", "de"] as const;

/** The texts of the first of these tags that there are any for; English else. */
export function textsFor(tags: readonly (string | undefined)[]): Texts {
  for (const tag of tags) {
    const texts = known[tag?.toLowerCase().split("-")[0] ?? ""];
    if (texts) return texts;
  }
  return en;
}

/** The tags of an Accept-Language header (RFC 9110 §12.5.4), the most wanted first. */
export function acceptedLanguages(header: string | undefined): readonly string[] {
  return (header ?? "")
    .split(",")
    .slice(0, 10)
    .map((entry) => {
      const [tag = "", ...parameters] = entry.trim().split(";");
      const q = parameters.find((parameter) => parameter.trim().startsWith("q="));
      return { tag: tag.trim(), q: q === undefined ? 1 : Number(q.trim().slice(2)) };
    })
    .filter(({ tag, q }) => tag !== "" && q > 0)
    .toSorted((a, b) => b.q - a.q)
    .map(({ tag }) => tag);
}
