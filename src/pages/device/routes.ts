/**
 * The page on which a person types what a device shows (RFC 8628 §3.3). Nothing happens without their own click, even
 * where the code came with the address.
 *
 * In: a user code; after the login, what came of it. Out: the device's authorization request, which goes on in this
 * browser as a hosted login; the page once more, for a code that nobody waits with.
 */
import { Type } from "typebox";
import { newBrowser } from "../../authentication/sessions/session.ts";
import type { App } from "../../http/server.ts";
import { loginPageOf } from "../../oauth/browser/begin.ts";
import { beginForDevice } from "../../oauth/browser/begin-for-device.ts";
import { browserOf, setCookie } from "../../oauth/browser/cookie.ts";
import { chargeRequest } from "../../oauth/charge-request.ts";
import { enterUserCode } from "../../oauth/device/enter-user-code.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { html } from "../html.ts";
import { field, type Page, PageParams, page_route, readerOf, sendPage } from "../page.ts";
import { refuseForeignForm } from "../same-site.ts";
import type { Texts } from "../texts/texts.ts";

const Query = Type.Object({ user_code: field(32), done: field(8), error: field(64) });
const Form = Type.Object({ user_code: field(32) });

export function devicePageRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  const { public_url } = directory;

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/device",
    config: page_route,
    schema: { hide: true, params: PageParams, querystring: Query },
    handler: async (request, reply) => {
      const { user_code, done, error } = request.query;
      const page = await readerOf(directory, request);
      return sendPage(reply, { ...page, ...viewOf(page.texts, { user_code, done, error }) });
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/device",
    config: { ...page_route, form: "body" },
    schema: { hide: true, params: PageParams, body: Form },
    handler: async (request, reply) => {
      refuseForeignForm(request);
      const { account_id, body, ip: source } = request;
      const { user_code = "" } = body;
      const known = browserOf(request, directory);
      const { cookie, digest: browser } = known ? { cookie: undefined, digest: known } : newBrowser();
      if (cookie) setCookie(reply, public_url, account_id, cookie);
      const page = await readerOf(directory, request);
      const waiting = await enterUserCode(oauth, { account_id, user_code, browser, source });
      if (!waiting) return sendPage(reply, { ...page, ...viewOf(page.texts, { ...body, wrong: true }) });
      await chargeRequest(oauth, account_id, { address: source, browser: known });
      const begun = await beginForDevice(oauth, waiting, browser);
      return reply.header("cache-control", "no-store").redirect(loginPageOf(public_url, begun), 303);
    },
  });
}

interface Shown {
  readonly user_code?: string | undefined;
  readonly done?: string | undefined;
  readonly error?: string | undefined;
  readonly wrong?: boolean;
}

function viewOf(texts: Texts, { user_code = "", done, error, wrong = false }: Shown): Pick<Page, "title" | "body"> {
  const { device } = texts;
  if (done !== undefined) return { title: device.done, body: html`<p>${device.done_intro}</p>` };
  // What was turned away here, and nothing else; the rest may be of a device that is connected, as after going back.
  if (error === "access_denied") return { title: device.refused, body: html`<p>${device.refused_intro}</p>` };
  if (error !== undefined) return { title: device.over, body: html`<p>${device.over_intro}</p>` };
  return {
    title: device.title,
    body: html`<p class="quiet">${device.intro}</p>
${wrong && html`<p class="problem" role="alert" id="problem">${device.wrong}</p>`}
<form method="post" action="?">
<label for="user_code">${device.code}</label>
<input id="user_code" name="user_code" class="code" type="text" autocomplete="off" autocapitalize="characters" spellcheck="false" required maxlength="32" value="${user_code}"${wrong && html` aria-invalid="true" aria-describedby="problem"`} autofocus>
<button class="main">${texts.go_on}</button>
</form>`,
  };
}
