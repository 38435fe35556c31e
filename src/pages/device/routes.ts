import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { newBrowser, readBrowser } from "../../authentication/sessions/session.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { App } from "../../http/server.ts";
import { cookieName, readCookie, setCookie } from "../../oauth/browser/cookie.ts";
import { enterUserCode } from "../../oauth/device/enter-user-code.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { sha256 } from "../../secrets/digest.ts";
import { reveal } from "../../secrets/secret.ts";
import { html } from "../html.ts";
import { type Page, sendPage } from "../page.ts";
import { refuseForeignForm } from "../same-site.ts";
import { acceptedLanguages, textsFor } from "../texts/languages.ts";
import type { Texts } from "../texts/texts.ts";

const text = (maxLength: number) => Type.Optional(Type.String({ maxLength }));
const Params = Type.Object({ oid: Type.String({ maxLength: 9 }) });
const Query = Type.Object({ user_code: text(32), done: text(8), error: text(64) });
const Form = Type.Object({ user_code: Type.String({ maxLength: 32 }) });

/** Where a person types what a device shows (RFC 8628 §3.3). Nothing happens without their own click. */
export function devicePageRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  const { public_url } = directory;

  const textsOf = async (request: FastifyRequest) => {
    const account = await findAccount(directory, request.account_id);
    const tags = [...acceptedLanguages(request.headers["accept-language"]), account.settings.locale];
    return { account, texts: textsFor(tags) };
  };

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/device",
    config: { surface: "oauth", public: true, page: true, cors: false },
    schema: { hide: true, params: Params, querystring: Query },
    handler: async (request, reply) => {
      const { user_code, done, error } = request.query;
      const page = await textsOf(request as FastifyRequest);
      return sendPage(reply, { ...page, ...viewOf(page.texts, { user_code, done, error }) });
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/device",
    config: { surface: "oauth", public: true, page: true, cors: false, form: "body" },
    schema: { hide: true, params: Params, body: Form },
    handler: async (request, reply) => {
      refuseForeignForm(request);
      const { account_id, body, ip: source } = request;
      const known = readBrowser(readCookie(request as FastifyRequest, cookieName(public_url, account_id)));
      const fresh = known ? undefined : newBrowser();
      if (fresh) setCookie(reply, public_url, account_id, fresh);
      const browser = known ?? sha256(reveal(fresh ?? newBrowser()));
      const page = await textsOf(request as FastifyRequest);
      const begun = await enterUserCode(oauth, { account_id, user_code: body.user_code, browser, source });
      if (!begun) return sendPage(reply, { ...page, ...viewOf(page.texts, { ...body, wrong: true }) });
      const address = `${issuerOf(public_url, account_id)}/login?request=${begun.id}`;
      return reply.header("cache-control", "no-store").redirect(address, 303);
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
  if (error !== undefined) return { title: device.refused, body: html`<p>${device.refused_intro}</p>` };
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
