import type { FastifyReply, FastifyRequest } from "fastify";
import { lookUpAccount } from "../directory/accounts/find-account.ts";
import type { Directory } from "../directory/directory.ts";
import type { ErrorCode, Refusal } from "../errors.ts";
import { acceptedLanguages } from "../http/accepted-languages.ts";
import { type Html, html } from "./html.ts";
import { sendPage } from "./page.ts";
import { sayProblem } from "./say-problem.ts";
import { textsFor } from "./texts/languages.ts";
import type { Texts } from "./texts/texts.ts";

/** What the reader can do something about, or we; the rest is up to whoever made the application. */
const sentences: Partial<Record<ErrorCode, (texts: Texts, wait: number | undefined) => string>> = {
  not_found: ({ refused }) => refused.not_found,
  access_denied: ({ refused }) => refused.access_denied,
  too_many_attempts: (texts, wait) => sayProblem(texts, "too_many_wrong_codes", wait),
  too_many_requests: (texts, wait) => sayProblem(texts, "too_many_requests", wait),
  temporarily_unavailable: ({ problems }) => problems.failed,
  client_unreachable: ({ problems }) => problems.failed,
  internal_error: ({ problems }) => problems.failed,
};

/** How an error looks where a browser is looking. */
export function errorPage(directory: Directory) {
  return async (refusal: Refusal, status: number, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const account = request.account_id
      ? await lookUpAccount(directory, request.account_id).catch(() => undefined)
      : undefined;
    const texts = textsFor([...acceptedLanguages(request.headers["accept-language"]), account?.settings.locale]);
    const body = html`${request.is404 ? html`<p>${texts.refused.no_such_address}</p>` : explain(refusal, texts)}
<p class="quiet">${texts.reference}: ${String(request.id)}</p>`;
    sendPage(reply, { account, texts, title: texts.error, body, status });
  };
}

/** In the reader's language; what a developer has to put right is said in the words of the API too. */
function explain({ code, message, options }: Refusal, texts: Texts): Html {
  const sentence = sentences[code]?.(texts, options.retry_after);
  if (sentence !== undefined) return html`<p>${sentence}</p>`;
  return html`<p>${texts.refused.other}</p>
<p class="quiet" lang="en">${message}</p>`;
}
