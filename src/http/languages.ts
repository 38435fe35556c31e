/** What messages and pages are written in. The first stands in for languages that there are no texts in. */
export const languages = ["en", "nb", "sv", "da", "de"] as const;

/** Their names, to be told. */
export const LANGUAGES = languages.join(", ");

export type Language = (typeof languages)[number];

/** Norwegian is asked for by several names. */
const OTHER_NAMES = new Map<string, Language>(Object.entries({ no: "nb", nn: "nb" } as const));

function lookUpLanguage(tag: string): Language | undefined {
  const [primary = ""] = tag.toLowerCase().split("-");
  return languages.find((language) => language === primary) ?? OTHER_NAMES.get(primary);
}

/** The language of the first of these BCP 47 tags that there are texts in, by its primary subtag. */
export function languageOf(tags: readonly (string | null | undefined)[]): Language | undefined {
  for (const tag of tags) {
    const language = tag && lookUpLanguage(tag);
    if (language) return language;
  }
  return undefined;
}

/** The same; English where there is none. */
export const spokenOf = (...tags: readonly (string | null | undefined)[]): Language => languageOf(tags) ?? languages[0];
