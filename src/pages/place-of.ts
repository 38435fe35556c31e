import { isScheme } from "../directory/clients/home.ts";
import type { Texts } from "./texts/texts.ts";

/** Where a client comes from or leads to, within a sentence: an app says that it is one, or its scheme could pass for a host. */
export const placeOf = (texts: Texts, home: string): string => (isScheme(home) ? texts.app(home) : home);
