import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { channelsOf, factorsOf } from "../../authentication/mfa/factors.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { errorAnswer, sendAnswer } from "../../oauth/browser/answer.ts";
import { answerWithCode } from "../../oauth/browser/answer-with-code.ts";
import { cookieName, readCookie, setCookie } from "../../oauth/browser/cookie.ts";
import { type OpenRequest, openRequest } from "../../oauth/browser/open-request.ts";
import { RedirectedRefusal } from "../../oauth/browser/refuse-at.ts";
import { checkSilent, nextStep, type Resumed } from "../../oauth/browser/resume.ts";
import { providersOf } from "../../oauth/browser/upstream.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { secret } from "../../secrets/secret.ts";
import { originOf, sendPage } from "../page.ts";
import { refuseForeignForm } from "../same-site.ts";
import { acceptedLanguages, textsFor } from "../texts/languages.ts";
import type { Texts } from "../texts/texts.ts";
import { act } from "./act.ts";
import { chooseView, codeView, consentView, factorView, identifyView, type View } from "./views.ts";

const text = (maxLength: number) => Type.Optional(Type.String({ maxLength }));
const LoginQuery = Type.Object({ request: text(64) });
const LoginForm = Type.Object({
  action: Type.String({ maxLength: 20 }),
  identifier: text(320),
  code: text(64),
  channel: text(10),
  session: text(64),
});
const LoginParams = Type.Object({ oid: Type.String({ maxLength: 9 }) });

export function loginRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  const { public_url } = directory;

  const open = (request: FastifyRequest, may_bind: boolean): Promise<OpenRequest> => {
    const { request: id } = request.query as { request?: string };
    const { account_id } = request;
    return openRequest(oauth, account_id, id, readCookie(request, cookieName(public_url, account_id)), may_bind);
  };

  const textsOf = (request: FastifyRequest, { request: { parameters } }: OpenRequest, { account }: Resumed): Texts =>
    textsFor([
      ...parameters.ui_locales,
      ...acceptedLanguages(request.headers["accept-language"]),
      account.settings.locale,
    ]);

  /** Answers the client where the browser is done, or where the person wants to leave. */
  async function answering(reply: FastifyReply, request: FastifyRequest, work: () => Promise<FastifyReply>) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof RedirectedRefusal)) throw error;
      return sendAnswer(reply, errorAnswer(error, issuerOf(public_url, request.account_id)));
    }
  }

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/login",
    config: { surface: "oauth", public: true, page: true, cors: false },
    schema: { hide: true, params: LoginParams, querystring: LoginQuery },
    handler: async (request, reply) =>
      answering(reply, request as FastifyRequest, async () => {
        const opened = await open(request as FastifyRequest, true);
        const resumed = await nextStep(oauth, opened.request, opened.browser);
        const { next } = resumed;
        if (opened.cookie) setCookie(reply, public_url, request.account_id, opened.cookie);
        if (next.step === "done")
          return sendAnswer(reply, await answerWithCode(oauth, resumed, opened.request, next.session));
        checkSilent(opened.request, next);
        const texts = textsOf(request as FastifyRequest, opened, resumed);
        const view = await viewOf(oauth, texts, opened, resumed);
        const leads_to = originOf(opened.request.parameters.redirect_uri);
        return sendPage(reply, { account: resumed.account, texts, leads_to, ...view });
      }),
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/login",
    config: { surface: "oauth", public: true, page: true, cors: false, form: "body" },
    schema: { hide: true, params: LoginParams, querystring: LoginQuery, body: LoginForm },
    handler: async (request, reply) =>
      answering(reply, request as FastifyRequest, async () => {
        refuseForeignForm(request);
        const opened = await open(request as FastifyRequest, false);
        const resumed = await nextStep(oauth, opened.request, opened.browser);
        const { language: locale } = textsOf(request as FastifyRequest, opened, resumed);
        const acting = { opened, resumed, source: request.ip, locale, facts: factsOf(request as FastifyRequest) };
        const cookie = await act(oauth, acting, request.body);
        if (cookie) setCookie(reply, public_url, request.account_id, cookie);
        const address = `${issuerOf(public_url, request.account_id)}/login?request=${opened.request.id}`;
        return reply.header("cache-control", "no-store").redirect(address, 303);
      }),
  });
}

/** The page for where a browser is. */
async function viewOf(
  oauth: Oauth,
  texts: Texts,
  { request }: OpenRequest,
  { account, client, next }: Resumed,
): Promise<View> {
  const { directory } = oauth;
  const { account_id } = account;
  const context = { texts, request, client };
  switch (next.step) {
    case "choose": {
      const people = next.sessions.map(async ({ id, user_id }) => ({
        session_id: id,
        user: await lookUpUser(directory, account_id, user_id),
      }));
      return chooseView(context, await Promise.all(people));
    }
    case "consent":
      return consentView(context, await lookUpUser(directory, account_id, next.session.user_id));
    default: {
      const { mfa_token, login_session_id } = request.progress;
      if (mfa_token !== undefined) {
        const pending = await openLogin(oauth.mfa, account_id, secret(mfa_token), directory.storage.now());
        const channels = await channelsOf(directory, account, pending);
        const factors = await factorsOf(directory, account, pending.subject.user_id, pending.first);
        const totp = factors.some(({ kind }) => kind === "totp");
        return factorView(context, { sms: channels.has("sms"), email: channels.has("email"), totp });
      }
      if (login_session_id !== undefined) return codeView(context);
      const providers = await providersOf(oauth, { account, client }, request);
      return identifyView(
        context,
        providers.map(({ id, oidc }) => ({ id, host: new URL(oidc.authority).host })),
      );
    }
  }
}
