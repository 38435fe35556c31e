import type { Elsewhere } from "../../authentication/sessions/elsewhere.ts";
import { lastUsed, type Session } from "../../authentication/sessions/session.ts";
import { instant } from "../../storage/storage.ts";
import { type Html, html } from "../html.ts";
import type { Texts } from "../texts/texts.ts";
import { timeOf } from "../time-of.ts";

export interface BrowsersContext {
  readonly texts: Texts;
  /** Where the forms go. */
  readonly address: string;
  /** The account's, in seconds. */
  readonly idle_lifetime: number;
  readonly now: number;
}

/** Somebody who is logged in here, and where else. */
export interface Person {
  readonly session: Session;
  readonly label: Html;
  readonly elsewhere: Elsewhere;
}

/** Those in which the people of this browser are logged in. */
export function browsersView(context: BrowsersContext, people: readonly Person[]): Html {
  const { texts } = context;
  const several = people.length > 1;
  return html`<h2>${texts.let_in.browsers}</h2>
${people.map((person, index) => personView(context, person, several ? `whose-${index}` : undefined, index))}`;
}

/** `whose`: the heading that names the person, where there are several. */
function personView(
  context: BrowsersContext,
  { session, label, elsewhere: { sessions, more } }: Person,
  whose: string | undefined,
  index: number,
): Html {
  const { texts, address } = context;
  const { let_in } = texts;
  const named = whose === undefined ? "" : ` ${whose}`;
  const form = (browser: string, kind: string, id: string, about: string, said: string) =>
    html`<form method="post" action="${address}">
<input type="hidden" name="session" value="${session.id}"><input type="hidden" name="browser" value="${browser}">
<button class="${kind}" id="${id}" aria-labelledby="${id}${about}${named}">${said}</button></form>`;
  const row = (one: Session, place: string, button: string | false) => {
    const at = `${index}-${place}`;
    return html`<div class="who"><div><span id="browser-${at}">${place === "0" ? let_in.here : let_in.elsewhere}</span>
<p class="quiet" id="times-${at}">${let_in.begun}: ${timeOf(one.created_at)}<br>${let_in.used}: ${timeOf(instant(lastUsed(one, context.idle_lifetime, context.now)))}</p></div>
${button && form(one.id, "link", `end-${at}`, ` browser-${at} times-${at}`, button)}</div>`;
  };
  return html`${whose && html`<h3 id="${whose}">${label}</h3>`}
${row(session, "0", whose !== undefined && texts.sign_out_button)}
${sessions.map((one, place) => row(one, String(place + 1), let_in.end))}
${more === "live" && html`<p class="quiet">${let_in.more}</p>`}
${(sessions.length > 0 || more) && form("others", "other", `others-${index}`, "", let_in.end_others)}`;
}
