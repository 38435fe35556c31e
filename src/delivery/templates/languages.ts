import { en } from "./en.ts";
import { nb } from "./nb.ts";
import type { Template } from "./template.ts";

const languages: Readonly<Record<string, Template>> = { en, nb, nn: nb, no: nb };

/** The template for a BCP 47 tag, by its primary language; English where there is none. */
export function templateOf(locale: string): Template {
  return languages[locale.toLowerCase().split("-")[0] ?? ""] ?? en;
}

/** The first language of an Accept-Language header (RFC 9110 §12.5.4) that there is a template for. */
export function preferredLanguage(header: string | undefined): string | undefined {
  const wanted = (header ?? "")
    .split(",")
    .slice(0, 10)
    .map((entry) => {
      const [tag = "", ...parameters] = entry.trim().split(";");
      const q = parameters.find((parameter) => parameter.trim().startsWith("q="));
      return { tag: tag.trim(), q: q === undefined ? 1 : Number(q.trim().slice(2)) };
    })
    .filter(({ q }) => q > 0)
    .sort((a, b) => b.q - a.q);
  return wanted.map(({ tag }) => languages[tag.toLowerCase().split("-")[0] ?? ""]?.language).find(Boolean);
}
