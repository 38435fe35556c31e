/**
 * The page of what the people who are logged in in this browser agreed to, and where they take it back.
 *
 * In: the browser's sessions; of which of them a form takes back what. Out: what each agreed to, at clients where their
 * session counts; what a client got by an agreement that is taken back ends with it (`oauth/consents`).
 */
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { findSessions } from "../../authentication/sessions/find-sessions.ts";
import type { Session } from "../../authentication/sessions/session.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { actorFrom } from "../../directory/actor.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { refuse } from "../../errors.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { browserOf } from "../../oauth/browser/cookie.ts";
import { countsAt } from "../../oauth/browser/resume.ts";
import { newestConsents, withdrawConsent } from "../../oauth/consents/consent.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { nextTurn } from "../../storage/pages.ts";
import { html } from "../html.ts";
import { nameOf } from "../name-of.ts";
import { PageParams, page_route, readerOf, sendPage } from "../page.ts";
import { labelsOf, personOf } from "../person-labels.ts";
import { refuseForeignForm } from "../same-site.ts";
import { scopeList } from "../scope-list.ts";

const Form = Type.Object({ client: Type.String({ maxLength: 64 }), session: Type.String({ maxLength: 64 }) });

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
    schema: { hide: true, params: PageParams },
    handler: async (request, reply) => {
      const { account_id } = request;
      const { account, texts } = await readerOf(directory, request);
      const sessions = await sessionsOf(request);
      const people = await Promise.all(sessions.map((session) => personOf(directory, session)));
      const labels = labelsOf({ texts }, people);
      const rows: Awaited<ReturnType<typeof consentsOf>> = [];
      let left = TOLD;
      for (const session of sessions) {
        for (const { consent } of await consentsOf(session)) {
          left -= consent.scope?.join().length ?? 0;
          rows.push({ session, consent: { ...consent, scope: left < 0 ? null : consent.scope } });
        }
        await nextTurn();
      }
      const body = html`${rows.map(
        (
          { session, consent: { client, audience, scope } },
          index,
        ) => html`<div class="who"><div><span id="client-${index}">${nameOf(account, client)}</span>
${sessions.length > 1 && html`<p class="quiet" id="person-${index}">${labels[sessions.indexOf(session)]}</p>`}${scopeList(texts, { audience, scope })}</div>
<form method="post" action="${addressOf(account_id)}">
<input type="hidden" name="client" value="${client.id}"><input type="hidden" name="session" value="${session.id}">
<button class="link" id="withdraw-${index}" aria-labelledby="withdraw-${index} client-${index}${sessions.length > 1 && ` person-${index}`}">${texts.withdraw}</button></form></div>`,
      )}
${rows.length === 0 && html`<p>${sessions.length === 0 ? texts.nobody_logged_in : texts.no_consents}</p>`}`;
      return sendPage(reply, { account, texts, title: texts.consents, body });
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/login/consents",
    config: { ...page_route, form: "body" },
    schema: { hide: true, params: PageParams, body: Form },
    handler: async (request, reply) => {
      const { account_id, body } = request;
      refuseForeignForm(request);
      const session = (await sessionsOf(request)).find(({ id }) => id === body.session);
      if (!session) throw refuse("access_denied", { message: "Nobody is logged in here." });
      const client = await lookUpClient(directory, session.account_id, body.client);
      const actor = actorFrom(session.user_id, factsOf(request));
      if (client?.id === body.client && (await countsAt({ directory }, session, client)))
        await withdrawConsent(directory, account_id, session.user_id, body.client, actor);
      return reply.header("cache-control", "no-store").redirect(addressOf(account_id), 303);
    },
  });
}
