import { type Language, spokenOf } from "../../http/languages.ts";
import { da } from "./da.ts";
import { de } from "./de.ts";
import { en } from "./en.ts";
import { nb } from "./nb.ts";
import { sv } from "./sv.ts";
import type { Texts } from "./texts.ts";

const known: Readonly<Record<Language, Texts>> = { en, nb, sv, da, de };

/** The texts of the first of these tags that there are any for; English else. */
export const textsFor = (tags: readonly (string | undefined)[]): Texts => known[spokenOf(...tags)];
