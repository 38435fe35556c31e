import { issuerOf } from "../directory/accounts/account.ts";
import type { Directory } from "../directory/directory.ts";
import { type Html, html } from "./html.ts";
import type { Texts } from "./texts/texts.ts";

/** The way out of a page behind a login (ASVS 5.0 §7.4.4), by `pages/logout`: `people` are logged in in this browser. */
export function logoutForm({ public_url }: Directory, account_id: string, texts: Texts, people: number): Html {
  const said = people > 1 ? texts.let_in.everybody : texts.sign_out_button;
  return html`<form method="post" action="${issuerOf(public_url, account_id)}/oauth/logout"><button class="other" id="out" name="confirm" value="yes">${said}</button></form>`;
}
