import type { FastifyRequest } from "fastify";
import { Type } from "typebox";
import { issuerOf } from "../../directory/accounts/account.ts";
import { Refusal } from "../../errors.ts";
import { factsOf } from "../../http/facts.ts";
import type { App } from "../../http/server.ts";
import { browserOf, setCookie } from "../../oauth/browser/cookie.ts";
import { openRequest, saveProgress } from "../../oauth/browser/open-request.ts";
import { nextStep } from "../../oauth/browser/resume.ts";
import { finishUpstream, requestOfState, upstreamAddress } from "../../oauth/browser/upstream.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { reveal } from "../../secrets/secret.ts";
import { PageParams, page_route } from "../page.ts";
import { afterFirstFactor } from "./after-first-factor.ts";

const text = (maxLength: number) => Type.Optional(Type.String({ maxLength }));

/** Logging in at another OpenID provider: there and back, in the browser that began. */
export function upstreamRoutes(app: App, oauth: Oauth): void {
  const { public_url } = oauth.directory;
  const open = (request: FastifyRequest, id: string | undefined) =>
    openRequest(oauth, request.account_id, id, browserOf(request, oauth.directory), false);
  const pageOf = (account_id: string, id: string) => `${issuerOf(public_url, account_id)}/login?request=${id}`;

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/login/upstream",
    config: page_route,
    schema: { hide: true, params: PageParams, querystring: Type.Object({ request: text(64), with: text(64) }) },
    handler: async (request, reply) => {
      const { request: id, with: grant_id = "" } = request.query;
      const opened = await open(request as FastifyRequest, id);
      const resumed = await nextStep(oauth, opened.request, opened.browser);
      reply.header("cache-control", "no-store");
      try {
        return reply.redirect(reveal(await upstreamAddress(oauth, resumed, opened.request, grant_id)), 303);
      } catch (error) {
        if (!(error instanceof Refusal) || error.status >= 500) throw error;
        await saveProgress(oauth, opened.request, { ...opened.request.progress, problem: error.code });
        return reply.redirect(pageOf(request.account_id, opened.request.id), 303);
      }
    },
  });

  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/login/upstream/callback",
    config: page_route,
    schema: {
      hide: true,
      params: PageParams,
      querystring: Type.Object({ state: text(512), code: text(4_096), error: text(256), iss: text(2_048) }),
    },
    handler: async (request, reply) => {
      const { account_id, query } = request;
      const opened = await open(request as FastifyRequest, requestOfState(query.state));
      const resumed = await nextStep(oauth, opened.request, opened.browser);
      const facts = factsOf(request as FastifyRequest);
      try {
        const proved = await finishUpstream(oauth, resumed, { request: opened.request, facts }, query);
        const cookie = await afterFirstFactor(oauth, { opened, resumed }, proved.subject, proved.grant_id);
        if (cookie) setCookie(reply, public_url, account_id, cookie);
      } catch (error) {
        if (!(error instanceof Refusal) || error.status >= 500) throw error;
        await saveProgress(oauth, opened.request, { another: true, problem: error.code });
      }
      return reply.header("cache-control", "no-store").redirect(pageOf(account_id, opened.request.id), 303);
    },
  });
}
