import { languageOf } from "../../delivery/templates/languages.ts";
import { acceptedLanguages } from "../../http/accepted-languages.ts";

/** The language of messages that a request's Accept-Language asks for, where there is a template in it. */
export function requestedLanguage(header: string | undefined): string | undefined {
  return languageOf(acceptedLanguages(header));
}
