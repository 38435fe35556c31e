import { acceptedLanguages } from "../../http/accepted-languages.ts";
import { languageOf } from "../../http/languages.ts";

/** The language of messages that a request asks for, by tags of its own before its Accept-Language; one that there are texts in. */
export function requestedLanguage(
  header: string | undefined,
  before: readonly (string | undefined)[] = [],
): string | undefined {
  return languageOf([...before, ...acceptedLanguages(header)]);
}
