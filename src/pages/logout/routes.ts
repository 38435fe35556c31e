import { Type } from "typebox";
import { endSession, findUnended } from "../../authentication/sessions/sessions.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { refuse } from "../../errors.ts";
import type { App } from "../../http/server.ts";
import { browserOf } from "../../oauth/browser/cookie.ts";
import { mayGoThere } from "../../oauth/browser/unchecked.ts";
import { readLogout } from "../../oauth/logout/read-logout.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { addToQuery } from "../../oauth/redirect-address.ts";
import { spaceSeparated } from "../../oauth/space-separated.ts";
import { reveal } from "../../secrets/secret.ts";
import { html } from "../html.ts";
import { PageParams, page_route, readerOf, sendPage } from "../page.ts";
import { isOwnForm } from "../same-site.ts";

const text = (maxLength = 2_048) => Type.Optional(Type.String({ maxLength }));
const Parameters = Type.Object({
  id_token_hint: text(8_192),
  client_id: text(),
  post_logout_redirect_uri: text(),
  state: text(),
  logout_hint: text(),
  ui_locales: text(),
  confirm: text(10),
});

/** OpenID Connect RP-Initiated Logout: at once where an ID token shows whom it is about, else after a question. */
export function logoutRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  for (const method of ["GET", "POST"] as const) {
    app.route({
      method,
      url: "/v1/accounts/:oid/oauth/logout",
      config: {
        ...page_route,
        ...(method === "POST" ? { form: "body" as const } : {}),
      },
      schema: {
        hide: true,
        params: PageParams,
        ...(method === "GET" ? { querystring: Parameters } : { body: Parameters }),
      },
      handler: async (request, reply) => {
        const given = (method === "GET" ? request.query : request.body) as Record<string, string | undefined>;
        const { account_id } = request;
        const endpoint = `${issuerOf(directory.public_url, account_id)}/oauth/logout`;
        const browser = browserOf(request, directory);
        const confirmed = method === "POST" && given.confirm === "yes" && isOwnForm(request) && browser !== undefined;
        if (method === "POST" && !confirmed) {
          // No cookie comes with a form of another site (SameSite=Lax), so the browser is sent to ask again.
          const { confirm: _, ...rest } = given;
          const asked = Object.entries(rest).filter((pair): pair is [string, string] => pair[1] !== undefined);
          return reply.header("cache-control", "no-store").redirect(reveal(addToQuery(endpoint, asked)), 303);
        }
        const { account, texts } = await readerOf(directory, request, spaceSeparated(given.ui_locales));
        const logout = await readLogout(oauth, account_id, given);
        const sessions = await findUnended(directory, account_id, browser);
        // Asked before the sessions end that say so.
        const may_go = await mayGoThere(directory, account_id, logout.unchecked, browser);
        const person =
          logout.session_id === undefined
            ? logout.user_id
            : sessions.find(({ id }) => id === logout.session_id)?.user_id;
        const meant = sessions.filter(({ user_id }) => user_id === person);
        if (sessions.length > 0 && meant.length === 0 && !confirmed) {
          const client =
            logout.client ?? (given.client_id ? await lookUpClient(directory, account_id, given.client_id) : undefined);
          const hidden = (["id_token_hint", "client_id", "post_logout_redirect_uri", "state"] as const).map(
            (name) => given[name] !== undefined && html`<input type="hidden" name="${name}" value="${given[name]}">`,
          );
          const body = html`<p>${texts.sign_out_intro(client?.name ?? client?.client_id ?? account.name)}</p>
<form method="post" action="${endpoint}">
${hidden}<input type="hidden" name="confirm" value="yes">
<button class="main">${texts.sign_out}</button>
</form>`;
          const leads_away = logout.address !== undefined;
          return sendPage(reply, { account, texts, title: texts.sign_out, body, leads_away });
        }
        for (const session of confirmed ? sessions : meant) await endSession(directory, session);
        reply.header("cache-control", "no-store");
        if (logout.address && may_go) return reply.redirect(reveal(logout.address), 303);
        if (given.post_logout_redirect_uri !== undefined && !logout.address) {
          throw refuse("redirect_uri_mismatch", {
            message: "You are logged out. post_logout_redirect_uri is not registered for this client.",
          });
        }
        return sendPage(reply, {
          account,
          texts,
          title: texts.signed_out,
          body: html`<p>${texts.signed_out_intro}</p>`,
        });
      },
    });
  }
}
