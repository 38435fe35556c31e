/**
 * The sandbox inbox of a test account: what it would have sent, on a page.
 *
 * In: the browser's sessions, and perhaps a recipient. Out: messages, newest first, where one of the sessions is an
 * account user's who may read them; else a way to log in, which comes back here.
 */
import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { findSessions } from "../../authentication/sessions/find-sessions.ts";
import type { Session } from "../../authentication/sessions/session.ts";
import { issuerOf, isTestAccount } from "../../directory/accounts/account.ts";
import { heldNow } from "../../directory/scopes.ts";
import { findHoldings } from "../../directory/users/find-account-user.ts";
import { refuse } from "../../errors.ts";
import type { App } from "../../http/server.ts";
import { loginPageOf } from "../../oauth/browser/begin.ts";
import { browserOf } from "../../oauth/browser/cookie.ts";
import { requestOwnPage } from "../../oauth/browser/own-page.ts";
import { chargeRequest } from "../../oauth/charge-request.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { type Html, html } from "../html.ts";
import { logoutForm } from "../logout-form.ts";
import { field, PageParams, page_route, readerOf, sendPage } from "../page.ts";
import { refuseForeignForm } from "../same-site.ts";
import type { Texts } from "../texts/texts.ts";
import { timeOf } from "../time-of.ts";

/** What a test account would have sent. */
export interface InboxMessage {
  readonly id: string;
  readonly created_at: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly verification_code?: string;
}

/** Newest first; `to` null means every recipient. */
export type ReadInbox = (account_id: string, to: string | null) => Promise<readonly InboxMessage[]>;

const Query = Type.Object({ to: field(320) });
const scopes = ["admin:accounts", "read:accounts:/sandbox"];

export function sandboxPageRoutes(app: App, oauth: Oauth, readInbox: ReadInbox): void {
  const { directory } = oauth;
  const addressOf = (account_id: string) => `${issuerOf(directory.public_url, account_id)}/sandbox`;

  async function begin(request: FastifyRequest) {
    const reader = await readerOf(directory, request);
    if (!isTestAccount(reader.account.account_id))
      throw refuse("not_found", { message: "A production account has no sandbox." });
    return reader;
  }

  const sessionsOf = (request: FastifyRequest) =>
    findSessions(directory, request.account_id, browserOf(request, directory));

  async function mayRead({ account_id }: FastifyRequest, sessions: readonly Session[]): Promise<boolean> {
    // One after the other: what each of them holds may be much to read.
    for (const { user_id } of sessions) {
      const { scope } = await findHoldings(directory, account_id, user_id);
      if (heldNow(scope).some((one) => scopes.includes(one))) return true;
    }
    return false;
  }

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/sandbox",
    config: page_route,
    schema: { hide: true, params: PageParams, querystring: Query },
    handler: async (request, reply) => {
      const { account, texts } = await begin(request);
      const { to } = request.query;
      const { sandbox } = texts;
      const sessions = await sessionsOf(request);
      const view = (await mayRead(request, sessions))
        ? inboxView(texts, to, await readInbox(account.account_id, to || null))
        : loginView(texts, sessions.length > 0);
      const out = sessions.length > 0 && logoutForm(directory, account.account_id, texts, sessions.length);
      return sendPage(reply, { account, texts, title: sandbox.title, body: html`${view}\n${out}` });
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/sandbox",
    config: { ...page_route, form: "body" },
    schema: { hide: true, params: PageParams },
    handler: async (request, reply) => {
      refuseForeignForm(request);
      const { account, texts } = await begin(request);
      const somebody = (await sessionsOf(request)).length > 0;
      await chargeRequest(oauth, account.account_id, { address: request.ip, browser: browserOf(request, directory) });
      const begun = await requestOwnPage(oauth, account, addressOf(account.account_id), somebody);
      if (!begun) {
        const command = `latchkey client create ${account.account_id} --first-party --user-type account_user`;
        const body = html`<p>${texts.sandbox.no_client} <code>${command}</code></p>`;
        return sendPage(reply, { account, texts, title: texts.sandbox.title, body, status: 404 });
      }
      return reply.header("cache-control", "no-store").redirect(loginPageOf(directory.public_url, begun), 303);
    },
  });
}

const loginView = ({ sandbox }: Texts, somebody: boolean): Html => html`<p>${sandbox.login_intro}</p>
${somebody && html`<p class="problem">${sandbox.may_not}</p>`}
<form method="post" action="sandbox"><button class="main">${sandbox.login}</button></form>`;

function inboxView({ sandbox }: Texts, to: string | undefined, messages: readonly InboxMessage[]): Html {
  return html`<form method="get" action="sandbox">
<label for="to">${sandbox.to}</label>
<input id="to" name="to" type="text" inputmode="email" autocomplete="off" autocapitalize="none" spellcheck="false" maxlength="320" value="${to}">
<button class="other">${sandbox.show}</button>
</form>
${messages.length === 0 && html`<p>${sandbox.empty}</p>`}
${messages.map(
  ({ created_at, to: recipient, subject, text, verification_code }) => html`<details>
<summary><span>${recipient}</span> ${verification_code !== undefined && html`<code>${verification_code}</code>`}
${timeOf(created_at)}</summary>
${subject !== "" && html`<p><strong>${subject}</strong></p>`}
<pre>${text}</pre>
</details>`,
)}`;
}
