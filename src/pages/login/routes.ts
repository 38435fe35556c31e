import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { requestedLanguage } from "../../authentication/messages/requested-language.ts";
import { channelsOf, factorsOf } from "../../authentication/mfa/factors.ts";
import type { PendingLogin } from "../../authentication/mfa/mfa.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { awaitedCode } from "../../authentication/verification/awaited-code.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { unlessRefused } from "../../errors.ts";
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
import { silentAnswer } from "../../oauth/browser/unchecked.ts";
import { hostOfProvider, providersOf } from "../../oauth/browser/upstream.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { secret } from "../../secrets/secret.ts";
import { formPage } from "../form-page.ts";
import { field, PageParams, page_route, sendPage } from "../page.ts";
import { personOf } from "../person-labels.ts";
import { refuseForeignForm } from "../same-site.ts";
import { textsFor } from "../texts/languages.ts";
import type { Texts } from "../texts/texts.ts";
import { act } from "./act.ts";
import { keepProblem } from "./keep-problem.ts";
import {
  answeredView,
  chooseView,
  codeView,
  confirmView,
  consentView,
  factorView,
  identifyView,
  isAnswered,
  LONGEST_IDENTIFIER,
  type View,
} from "./views.ts";

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
        const browser = browserOf(request, directory);
        return sendAnswer(reply, await silentAnswer(directory, request.account_id, browser, error), postAnswer);
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
      return reply.header("cache-control", "no-store").redirect(loginPageOf(public_url, opened.request), 303);
    },
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
  const { retry_at } = request.progress;
  const wait = retry_at === undefined ? undefined : (Date.parse(retry_at) - directory.storage.now()) / 1000;
  const context = { texts, request, client, wait };
  switch (next.step) {
    case "choose":
      return chooseView(context, await Promise.all(next.sessions.map((one) => personOf(directory, one))));
    case "confirm":
      return confirmView(context, await personOf(directory, next.session));
    case "consent":
      return consentView(context, await personOf(directory, next.session));
    default: {
      const { mfa_token, login_session_id, problem } = request.progress;
      const pending = mfa_token === undefined ? undefined : await pendingIn(oauth, account_id, mfa_token);
      if (pending) {
        const channels = await channelsOf(directory, account, pending);
        const factors = await factorsOf(directory, account, pending.subject, pending.first);
        const totp = factors.some(({ kind }) => kind === "totp");
        return factorView(context, { sms: channels.has("sms"), email: channels.has("email"), totp });
      }
      if (login_session_id !== undefined) {
        const unsent = problem === "too_many_requests";
        const { storage } = directory;
        const good = unsent && (await awaitedCode(storage, account, login_session_id, storage.now())) === "open";
        return codeView(context, good);
      }
      const providers = await providersOf(oauth, { account, client }, request);
      const over = { ...request, progress: { ...request.progress, problem: "verification_code_expired" } };
      return identifyView(
        mfa_token === undefined ? context : { ...context, request: over },
        providers.map((provider) => ({ id: provider.id, host: hostOfProvider(provider) })),
      );
    }
  }
}

/** The login between its two factors; undefined when it is over: then it begins anew, in the same request. */
function pendingIn({ directory }: Oauth, account_id: string, mfa_token: string): Promise<PendingLogin | undefined> {
  return openLogin(directory, account_id, secret(mfa_token), directory.storage.now()).catch(
    unlessRefused("invalid_grant"),
  );
}
