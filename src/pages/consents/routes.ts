/**
 * The page of what the people who are logged in in this browser let in, and where they end it (ASVS 5.0 §7.5.2): clients that they
 * agreed to, and browsers in which they are logged in.
 *
 * In: the browser's sessions; what a form ends, and of which of them. Out: what each agreed to, at clients where their session
 * counts, and where else they are logged in; what a client got by an agreement that is taken back ends with it
 * (`oauth/consents`), and what came of a login as by a logout there (`sessions/elsewhere.ts`).
 */
import type { FastifyRequest } from "fastify";
import { type Static, Type } from "typebox";
import { endElsewhere, endOne, findElsewhere } from "../../authentication/sessions/elsewhere.ts";
import { findSessions } from "../../authentication/sessions/find-sessions.ts";
import type { Session } from "../../authentication/sessions/session.ts";
import { type Account, issuerOf } from "../../directory/accounts/account.ts";
import { actorFrom } from "../../directory/actor.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { refuse } from "../../errors.ts";
import { factsOf, type RequestFacts } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { browserOf } from "../../oauth/browser/cookie.ts";
import { countsAt } from "../../oauth/browser/resume.ts";
import { newestConsents, withdrawConsent } from "../../oauth/consents/consent.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { nextTurn } from "../../storage/pages.ts";
import { type Html, html } from "../html.ts";
import { logoutForm } from "../logout-form.ts";
import { nameOf } from "../name-of.ts";
import { field, PageParams, page_route, readerOf, sendPage } from "../page.ts";
import { labelsOf, personOf } from "../person-labels.ts";
import { isOwnForm, refuseForeignForm } from "../same-site.ts";
import { scopeList } from "../scope-list.ts";
import type { Texts } from "../texts/texts.ts";
import { browsersView } from "./browsers-view.ts";

/** One of the two is named: a client, or a browser by the session there; `others` for all but that at hand. */
const Form = Type.Object({ session: Type.String({ maxLength: 64 }), client: field(64), browser: field(64) });
const Query = Type.Object({ done: field(16) });
type Done = keyof Texts["let_in"]["done"];

/** Characters of scopes that a page tells in full: the newest of each person, one after the other. */
const TOLD = 100_000;

export function consentPageRoutes(app: App, { directory }: Oauth): void {
  const sessionsOf = (request: FastifyRequest) =>
    findSessions(directory, request.account_id, browserOf(request, directory));
  /** What the person of a session agreed to, at clients where that session counts. */
  const consentsOf = async (session: Session) => {
    const consents = await newestConsents(directory, session.account_id, session.user_id);
    const counts = await Promise.all(consents.map(({ client }) => countsAt({ directory }, session, client)));
    return consents.filter((_, index) => counts[index]).map((consent) => ({ session, consent }));
  };
  const addressOf = (account_id: string) => `${issuerOf(directory.public_url, account_id)}/login/consents`;

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/login/consents",
    config: page_route,
    schema: { hide: true, params: PageParams, querystring: Query },
    handler: async (request, reply) => {
      const { account, texts } = await readerOf(directory, request);
      const { let_in } = texts;
      const sessions = await sessionsOf(request);
      // Who follows a link of another site is told nothing of what was done.
      const { done = "" } = isOwnForm(request) ? request.query : {};
      const notice = Object.hasOwn(let_in.done, done) && html`<p role="status">${let_in.done[done as Done]}</p>`;
      const body = html`${notice}
${sessions.length === 0 ? html`<p>${texts.nobody_logged_in}</p>` : await letInBy(account, texts, sessions)}`;
      return sendPage(reply, { account, texts, title: let_in.title, body });
    },
  });

  async function letInBy(account: Account, texts: Texts, sessions: readonly Session[]): Promise<Html> {
    const { account_id, settings } = account;
    const address = addressOf(account_id);
    const people = await Promise.all(sessions.map((session) => personOf(directory, session)));
    const labels = labelsOf({ texts }, people);
    const several = sessions.length > 1;
    const rows: Awaited<ReturnType<typeof consentsOf>> = [];
    const logins: Parameters<typeof browsersView>[1][number][] = [];
    let left = TOLD;
    for (const [index, session] of sessions.entries()) {
      for (const { consent } of await consentsOf(session)) {
        left -= consent.scope?.join().length ?? 0;
        rows.push({ session, consent: { ...consent, scope: left < 0 ? null : consent.scope } });
      }
      const label = labels[index] ?? html``;
      logins.push({ session, label, elsewhere: await findElsewhere(directory, session) });
      await nextTurn();
    }
    const now = directory.storage.now();
    const context = { texts, address, idle_lifetime: settings.session_idle_lifetime, now };
    return html`<h2>${texts.consents}</h2>
${rows.map(
  (
    { session, consent: { client, audience, scope } },
    index,
  ) => html`<div class="who"><div><span id="client-${index}">${nameOf(account, client)}</span>
${several && html`<p class="quiet" id="person-${index}">${labels[sessions.indexOf(session)]}</p>`}${scopeList(texts, { audience, scope })}</div>
<form method="post" action="${address}">
<input type="hidden" name="client" value="${client.id}"><input type="hidden" name="session" value="${session.id}">
<button class="link" id="withdraw-${index}" aria-labelledby="withdraw-${index} client-${index}${several && ` person-${index}`}">${texts.withdraw}</button></form></div>`,
)}
${rows.length === 0 && html`<p>${texts.no_consents}</p>`}
${browsersView(context, logins)}
${logoutForm(directory, account_id, texts, sessions.length)}`;
  }

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/login/consents",
    config: { ...page_route, form: "body" },
    schema: { hide: true, params: PageParams, body: Form },
    handler: async (request, reply) => {
      const { account_id, body } = request;
      refuseForeignForm(request);
      const sessions = await sessionsOf(request);
      const session = sessions.find(({ id }) => id === body.session);
      // Where nobody is logged in any more, as by a logout elsewhere, the page says so.
      if (!session && sessions.length > 0) throw refuse("access_denied", { message: "Nobody is logged in here." });
      const done = session && (await end(session, body, factsOf(request)));
      const address = `${addressOf(account_id)}${done ? `?done=${done}` : ""}`;
      return reply.header("cache-control", "no-store").redirect(address, 303);
    },
  });

  /** @returns what was done, to be said; also where it was done by now. */
  async function end(
    session: Session,
    { client: client_id, browser }: Static<typeof Form>,
    facts: RequestFacts,
  ): Promise<Done | undefined> {
    if (browser === "others") {
      await endElsewhere(directory, session);
      return "others";
    }
    if (browser !== undefined) {
      await endOne(directory, session, browser);
      return "browser";
    }
    if (client_id === undefined) return undefined;
    const { account_id, user_id } = session;
    const client = await lookUpClient(directory, account_id, client_id);
    if (client?.id !== client_id || !(await countsAt({ directory }, session, client))) return undefined;
    await withdrawConsent(directory, account_id, user_id, client_id, actorFrom(user_id, facts));
    return "client";
  }
}
