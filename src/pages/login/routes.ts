import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { requestedLanguage } from "../../authentication/messages/requested-language.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { acceptedLanguages } from "../../http/accepted-languages.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { errorAnswer, sendAnswer } from "../../oauth/browser/answer.ts";
import { answerWithCode, checkClass } from "../../oauth/browser/answer-with-code.ts";
import { loginPageOf } from "../../oauth/browser/begin.ts";
import { checkCallback, checkStanding } from "../../oauth/browser/check-standing.ts";
import { browserOf, setCookie } from "../../oauth/browser/cookie.ts";
import { type OpenRequest, openRequest } from "../../oauth/browser/open-request.ts";
import { RedirectedRefusal } from "../../oauth/browser/redirected-refusal.ts";
import { checkHinted, checkSilent, nextStep, type Resumed } from "../../oauth/browser/resume.ts";
import { sendRefusal } from "../../oauth/browser/unchecked.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { formPage } from "../form-page.ts";
import { field, PageParams, page_route, sendPage } from "../page.ts";
import { refuseForeignForm } from "../same-site.ts";
import { textsFor } from "../texts/languages.ts";
import type { Texts } from "../texts/texts.ts";
import { act } from "./act.ts";
import { keepProblem } from "./keep-problem.ts";
import { viewOf } from "./view-of.ts";
import { answeredView, isAnswered, LONGEST_IDENTIFIER } from "./views.ts";

const LoginQuery = Type.Object({ request: field(64) });
const LoginForm = Type.Object({
  action: Type.String({ maxLength: 20 }),
  identifier: field(LONGEST_IDENTIFIER),
  code: field(64),
  channel: field(10),
  session: field(64),
});

export function loginRoutes(app: App, oauth: Oauth): void {
  const { directory } = oauth;
  const { public_url } = directory;
  const postAnswer = formPage(directory);

  const open = (request: FastifyRequest, may_bind: boolean): Promise<OpenRequest> => {
    const { request: id } = request.query as { request?: string };
    return openRequest(oauth, request.account_id, id, browserOf(request, directory), may_bind);
  };

  const textsOf = (request: FastifyRequest, { request: { parameters } }: OpenRequest, { account }: Resumed): Texts =>
    textsFor([
      ...parameters.ui_locales,
      ...acceptedLanguages(request.headers["accept-language"]),
      account.settings.locale,
    ]);

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/login",
    config: page_route,
    schema: { hide: true, params: PageParams, querystring: LoginQuery },
    handler: async (request, reply) => {
      try {
        const opened = await open(request, true);
        const resumed = await nextStep(oauth, opened.request, opened.browser);
        const { next } = resumed;
        if (opened.cookie) setCookie(reply, public_url, request.account_id, opened.cookie);
        const texts = textsOf(request, opened, resumed);
        if (isAnswered(opened.request))
          return sendPage(reply, {
            account: resumed.account,
            texts,
            ...answeredView({ texts, ...resumed, ...opened }),
          });
        await checkStanding(oauth, resumed, opened.request);
        if (next.step === "done")
          return sendAnswer(reply, await answerWithCode(oauth, resumed, opened.request, next.session), postAnswer);
        checkSilent(opened.request, next);
        checkHinted(opened.request, resumed);
        // Nobody is asked what a client may see that will not let them in.
        if ("session" in next) checkClass(opened.request.parameters, next.session);
        const view = await viewOf(oauth, texts, opened, resumed);
        return sendPage(reply, { account: resumed.account, texts, leads_away: true, ...view });
      } catch (error) {
        return sendRefusal(directory, reply, error, postAnswer);
      }
    },
  });

  app.route({
    method: "POST",
    url: "/v1/accounts/:oid/login",
    config: { ...page_route, form: "body" },
    schema: { hide: true, params: PageParams, querystring: LoginQuery, body: LoginForm },
    handler: async (request, reply) => {
      refuseForeignForm(request);
      const opened = await open(request, false);
      const show = () =>
        reply.header("cache-control", "no-store").redirect(loginPageOf(public_url, opened.request), 303);
      if (isAnswered(opened.request)) return show();
      const resumed = await nextStep(oauth, opened.request, opened.browser);
      const { ui_locales } = opened.request.parameters;
      const locale = requestedLanguage(request.headers["accept-language"], ui_locales);
      const acting = { opened, resumed, source: request.ip, locale, facts: factsOf(request) };
      try {
        const cookie = await act(oauth, acting, request.body);
        if (cookie) setCookie(reply, public_url, request.account_id, cookie);
      } catch (error) {
        // The person wants to leave, so they go wherever they came from, unless that is the client's no more.
        if (error instanceof RedirectedRefusal) {
          await checkCallback(oauth, resumed, opened.request);
          return sendAnswer(reply, errorAnswer(error, issuerOf(public_url, request.account_id)), postAnswer);
        }
        const { action, identifier = "" } = request.body;
        const typed = { identifier: identifier.trim(), another: true };
        const progress = action === "identify" ? typed : opened.request.progress;
        await keepProblem(oauth, request, opened.request, progress, error);
      }
      return show();
    },
  });
}
