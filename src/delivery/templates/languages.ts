import { type Language, spokenOf } from "../../http/languages.ts";
import { da } from "./da.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { nb } from "./nb.ts";
import { sv } from "./sv.ts";
import type { Template } from "./template.ts";

const templates: Readonly<Record<Language, Template>> = { en, nb, sv, da, de };

/** The template for a BCP 47 tag; English where there is none. */
export const templateOf = (locale: string): Template => templates[spokenOf(locale)];
