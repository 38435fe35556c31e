import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import { attempt } from "../../authentication/federation/attempts.ts";
import { recordRefused } from "../../authentication/federation/record-refused.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { loginPageOf } from "../../oauth/browser/begin.ts";
import { checkStanding } from "../../oauth/browser/check-standing.ts";
import { browserOf, setCookie } from "../../oauth/browser/cookie.ts";
import { type OpenRequest, openRequest } from "../../oauth/browser/open-request.ts";
import { RedirectedRefusal } from "../../oauth/browser/redirected-refusal.ts";
import { nextStep, type Resumed } from "../../oauth/browser/resume.ts";
import { sendRefusal } from "../../oauth/browser/unchecked.ts";
import { finishUpstream, requestOfState, upstreamAddress } from "../../oauth/browser/upstream.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { reveal } from "../../secrets/secret.ts";
import { formPage } from "../form-page.ts";
import { field, PageParams, page_route } from "../page.ts";
import { afterFirstFactor } from "./after-first-factor.ts";
import { keepProblem } from "./keep-problem.ts";
import { isAnswered } from "./views.ts";

/** RFC 6749 §4.1.2.1, OpenID Connect Core §3.1.2.6 */
const spoken: readonly (string | undefined)[] = [
  "invalid_request",
  "unauthorized_client",
  "access_denied",
  "unsupported_response_type",
  "invalid_scope",
  "server_error",
  "temporarily_unavailable",
  "interaction_required",
  "login_required",
  "account_selection_required",
  "consent_required",
];

/** Logging in at another OpenID provider: there and back, in the browser that began. */
export function upstreamRoutes(app: App, oauth: Oauth): void {
  const { public_url } = oauth.directory;
  const postAnswer = formPage(oauth.directory);
  const open = (request: FastifyRequest, id: string | undefined) =>
    openRequest(oauth, request.account_id, id, browserOf(request, oauth.directory), false);
  const show = (reply: FastifyReply, opened: OpenRequest) =>
    reply.header("cache-control", "no-store").redirect(loginPageOf(public_url, opened.request), 303);
  /** Counted by where it comes from, and recorded where it is refused. */
  const attempted = <T>(
    request: FastifyRequest,
    { browser }: OpenRequest,
    { account, client }: Resumed,
    work: () => Promise<T>,
  ) => {
    const { directory } = oauth;
    const { account_id, ip: address } = request;
    const facts = factsOf(request);
    const recorded = recordRefused(directory, { account, client, actor: client.id, facts, at_page: true });
    return attempt(directory, account_id, { browser, address }, directory.storage.now(), () => work().catch(recorded));
  };

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/login/upstream",
    config: page_route,
    schema: { hide: true, params: PageParams, querystring: Type.Object({ request: field(64), with: field(64) }) },
    handler: async (request, reply) => {
      const { request: id, with: grant_id = "" } = request.query;
      const opened = await open(request, id);
      if (isAnswered(opened.request)) return show(reply, opened);
      const resumed = await nextStep(oauth, opened.request, opened.browser);
      reply.header("cache-control", "no-store");
      try {
        const finding = () => upstreamAddress(oauth, resumed, opened.request, grant_id);
        const address = await attempted(request, opened, resumed, finding);
        return reply.redirect(reveal(address), 303);
      } catch (error) {
        await keepProblem(oauth, request, opened.request, opened.request.progress, error);
        return show(reply, opened);
      }
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/login/upstream/callback/:provider",
    config: page_route,
    schema: {
      hide: true,
      params: Type.Object({ ...PageParams.properties, provider: Type.String({ maxLength: 64 }) }),
      querystring: Type.Object({ state: field(512), code: field(4_096), error: field(256), iss: field() }),
    },
    handler: async (request, reply) => {
      const { account_id, query } = request;
      const { provider } = request.params;
      const now = oauth.directory.storage.now();
      const opened = await open(request, requestOfState(query.state));
      if (isAnswered(opened.request)) return show(reply, opened);
      const resumed = await nextStep(oauth, opened.request, opened.browser);
      const about = { request: opened.request, facts: factsOf(request) };
      // Anybody can call the callback: of what it says went wrong only the standards' words are passed on, and logged.
      const answer = { ...query, provider, error: spoken.includes(query.error) ? query.error : undefined };
      try {
        await checkStanding(oauth, resumed, opened.request);
        const proved = await attempted(request, opened, resumed, () => finishUpstream(oauth, resumed, about, answer));
        const cookie = await afterFirstFactor(oauth, { opened, resumed }, proved.subject, proved.grant_id, now);
        if (cookie) setCookie(reply, public_url, account_id, cookie);
      } catch (error) {
        if (error instanceof RedirectedRefusal) return sendRefusal(oauth.directory, reply, error, postAnswer);
        await keepProblem(oauth, request, opened.request, { another: true }, error);
      }
      return show(reply, opened);
    },
  });
}
