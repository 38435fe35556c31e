import { type Html, html } from "./html.ts";
import type { Texts } from "./texts/texts.ts";

interface Agreed {
  /** Null or empty where only userinfo is asked for. */
  readonly audience: string | null;
  /** Null where there are more than a person reads. */
  readonly scope: readonly string[] | null;
}

/** What a client may do with these scopes, as a person reads it; the scopes of an API stand beside its name. */
export function scopeList(texts: Texts, { audience, scope }: Agreed): Html {
  const isTold = (one: string): one is keyof Texts["scopes"] => Object.hasOwn(texts.scopes, one);
  const told = scope?.filter(isTold) ?? [];
  const others = scope?.filter((one) => !isTold(one) && one !== "address") ?? ["…"];
  return html`<ul>
${told.map((one) => html`<li>${texts.scopes[one]}</li>`)}
${audience && html`<li>${texts.scope_of(audience)}${others.length > 0 && html`: <span class="quiet">${others.join(", ")}</span>`}</li>`}
</ul>`;
}
