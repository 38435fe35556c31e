import type { FastifyReply, FastifyRequest } from "fastify";
import { lookUpAccount } from "../directory/accounts/find-account.ts";
import type { Directory } from "../directory/directory.ts";
import type { Refusal } from "../errors.ts";
import { html } from "./html.ts";
import { sendPage } from "./page.ts";
import { acceptedLanguages, textsFor } from "./texts/languages.ts";

/** How an error looks where a browser is looking. */
export function errorPage(directory: Directory) {
  return async (refusal: Refusal, status: number, request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const account = request.account_id
      ? await lookUpAccount(directory, request.account_id).catch(() => undefined)
      : undefined;
    const texts = textsFor([...acceptedLanguages(request.headers["accept-language"]), account?.settings.locale]);
    const body = html`<p>${refusal.message}</p>
<p class="quiet">${texts.reference}: ${String(request.id)}</p>`;
    sendPage(reply, { account, texts, title: texts.error, body, status });
  };
}
