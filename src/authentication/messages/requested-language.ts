import { languageOf } from "../../delivery/templates/languages.ts";
import { acceptedLanguages } from "../../http/accepted-languages.ts";

/** The language of messages that a request asks for, by tags of its own before its Accept-Language; one with a template. */
export function requestedLanguage(header: string | undefined, before: readonly string[] = []): string | undefined {
  return languageOf([...before, ...acceptedLanguages(header)]);
}
