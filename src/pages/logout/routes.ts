/**
 * OpenID Connect RP-Initiated Logout, for the browser: at once where an ID token shows whom it is about, else after a
 * question.
 *
 * In: its parameters, which `oauth/logout` understands, and the sessions of the browser. Out: sessions that ended, and
 * the browser on its way to the client where it may go there, else a page that says so.
 */
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Static, Type } from "typebox";
import { endSessions } from "../../authentication/sessions/end-session.ts";
import { findSessions, findUnended } from "../../authentication/sessions/find-sessions.ts";
import type { Session } from "../../authentication/sessions/session.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { refuse } from "../../errors.ts";
import { noteRefusal, wantsPage } from "../../http/error-reply.ts";
import { oneLine } from "../../http/one-line.ts";
import type { App } from "../../http/server.ts";
import { browserOf } from "../../oauth/browser/cookie.ts";
import { mayGoThere } from "../../oauth/browser/unchecked.ts";
import { type Logout, readLogout, sealHint } from "../../oauth/logout/read-logout.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { addToQuery } from "../../oauth/redirect-address.ts";
import { spaceSeparated } from "../../oauth/space-separated.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { type Html, html } from "../html.ts";
import { nameOf } from "../name-of.ts";
import { field, PageParams, page_route, readerOf, sendPage } from "../page.ts";
import { isOwnForm } from "../same-site.ts";
import type { Texts } from "../texts/texts.ts";

const Parameters = Type.Object({
  id_token_hint: field(8_192),
  posted_hint: field(8_192),
  client_id: field(),
  post_logout_redirect_uri: field(),
  state: field(),
  logout_hint: field(),
  ui_locales: field(),
  confirm: field(10),
});
type Given = Static<typeof Parameters>;

interface Visit {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly given: Given;
  readonly browser: Uint8Array | undefined;
  /** By our own form, in this browser. */
  readonly confirmed: boolean;
}

export function logoutRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  const endpointOf = (account_id: string) => `${issuerOf(directory.public_url, account_id)}/oauth/logout`;

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
        const given = (method === "GET" ? request.query : request.body) as Given;
        const browser = browserOf(request, directory);
        const own = method === "POST" && isOwnForm(request) && browser !== undefined;
        const confirmed = own && given.confirm === "yes";
        const declined = own && given.confirm === "no";
        if (declined && (await findUnended(directory, request.account_id, browser)).length > 0)
          return stay(request, reply, given, browser);
        // No cookie comes with a form of another site (SameSite=Lax), so the browser is sent to ask again.
        if (method === "POST" && !confirmed) return askAgain(request, reply, given);
        return logOut({ request, reply, given, browser, confirmed });
      },
    });
  }

  async function askAgain(
    { account_id }: FastifyRequest,
    reply: FastifyReply,
    { confirm: _, id_token_hint, logout_hint: __, ...given }: Given,
  ): Promise<FastifyReply> {
    const posted = id_token_hint === undefined ? undefined : await sealHint(oauth, account_id, id_token_hint);
    const posted_hint = posted ? reveal(posted) : given.posted_hint;
    return redirect(reply, addToQuery(endpointOf(account_id), Object.entries({ ...given, posted_hint })));
  }

  /** Nobody is logged out, so nobody is sent to where the client waits for those who are. */
  async function stay(
    request: Visit["request"],
    reply: FastifyReply,
    { ui_locales }: Given,
    browser: Uint8Array | undefined,
  ): Promise<FastifyReply> {
    const { account, texts } = await readerOf(directory, request, spaceSeparated(ui_locales));
    // One that lies idle, or whose time is over, is asked about, and lets nobody in any more.
    const live = await findSessions(directory, request.account_id, browser);
    const title = live.length > 0 ? texts.stayed : texts.signed_out;
    return sendPage(reply, { account, texts, title, body: html`<p>${texts.signed_out_intro}</p>` });
  }

  async function logOut({ request, reply, given, browser, confirmed }: Visit): Promise<FastifyReply> {
    const { account_id } = request;
    const { account, texts } = await readerOf(directory, request, spaceSeparated(given.ui_locales));
    const logout = await readLogout(oauth, account_id, given);
    const sessions = await findUnended(directory, account_id, browser);
    // Asked before the sessions end that say so.
    const redirect_uri = logout.address && reveal(logout.address);
    const { unchecked } = logout;
    const may_go = redirect_uri && (await mayGoThere(directory, account_id, { unchecked, redirect_uri }, browser));
    const meant = meantBy(logout, sessions);
    if (sessions.length > 0 && meant.length === 0 && !confirmed) {
      const asks_for = logout.client ? nameOf(account, logout.client) : oneLine(account.name);
      const body = question(texts, { endpoint: endpointOf(account_id), asks_for, given });
      return sendPage(reply, { account, texts, title: texts.sign_out, body, leads_away: logout.address !== undefined });
    }
    for (const session of confirmed ? sessions : meant) await endSessions(directory, session, [session.id]);
    if (logout.address && may_go) return redirect(reply, logout.address);
    reply.header("cache-control", "no-store");
    // The person is logged out all the same, and is told that; why nobody is sent back is for a developer.
    const refusal = given.post_logout_redirect_uri !== undefined && !logout.address ? notRegistered() : undefined;
    if (refusal && !wantsPage(request)) throw refusal;
    if (refusal) noteRefusal(refusal, request);
    const body = html`<p>${texts.signed_out_intro}</p>
${refusal && html`<p class="quiet" lang="en">${refusal.message}</p>`}`;
    return sendPage(reply, { account, texts, title: texts.signed_out, body, status: refusal?.status ?? 200 });
  }
}

const notRegistered = () =>
  refuse("redirect_uri_mismatch", { message: "post_logout_redirect_uri is not registered for this client." });

/** The sessions of the person whom an ID token is about; where it names a session, of whose session that is. */
function meantBy({ session_id, user_id }: Logout, sessions: readonly Session[]): readonly Session[] {
  const person = session_id === undefined ? user_id : sessions.find(({ id }) => id === session_id)?.user_id;
  return sessions.filter((session) => session.user_id === person);
}

function redirect(reply: FastifyReply, address: Secret): FastifyReply {
  return reply.header("cache-control", "no-store").redirect(reveal(address), 303);
}

interface Question {
  readonly endpoint: string;
  /** The client or, where none is named, the account. */
  readonly asks_for: string;
  readonly given: Given;
}

function question(texts: Texts, { endpoint, asks_for, given }: Question): Html {
  const kept = [
    "id_token_hint",
    "posted_hint",
    "client_id",
    "post_logout_redirect_uri",
    "state",
    "ui_locales",
  ] as const;
  const hidden = kept.map(
    (name) => given[name] !== undefined && html`<input type="hidden" name="${name}" value="${given[name]}">`,
  );
  return html`<p>${texts.sign_out_intro(asks_for)}</p>
<form method="post" action="${endpoint}">
${hidden}<button class="main" name="confirm" value="yes">${texts.sign_out_button}</button>
<button class="other" name="confirm" value="no">${texts.stay}</button>
</form>`;
}
