/**
 * Pages: the hosted login, rendered here; they work without any script. One small document a step, with the account's
 * name, logo and colour, in the reader's language; nothing is fetched but the account's logo, and no page can be
 * framed.
 *
 * In: how far a browser is. Out: a document, its headers, and forms that post back to the same address.
 */
import { randomBytes } from "node:crypto";
import type { FastifyReply, FastifyRequest } from "fastify";
import { Type } from "typebox";
import type { Account } from "../directory/accounts/account.ts";
import { findAccount } from "../directory/accounts/find-account.ts";
import type { Directory } from "../directory/directory.ts";
import { acceptedLanguages } from "../http/accepted-languages.ts";
import { oneLine } from "../http/one-line.ts";
import { type Html, html } from "./html.ts";
import { once, once_source } from "./once.ts";
import { style } from "./style.ts";
import { textsFor } from "./texts/languages.ts";
import type { Texts } from "./texts/texts.ts";

export interface Page {
  readonly account: Account | undefined;
  readonly texts: Texts;
  readonly title: string;
  readonly body: Html;
  readonly status?: number;
  /** A form of this page may end at a client, whose address may itself lead anywhere. */
  readonly leads_away?: boolean;
}

/** What every page's route declares: anybody may look, errors are pages, and no script of another origin reads it. */
export const page_route = { surface: "oauth", public: true, page: true, cors: false } as const;

export const PageParams = Type.Object({ oid: Type.String({ maxLength: 9 }) });

/** A parameter or field of a form that may be missing; without `maxLength` as long as an address may be. */
export const field = (maxLength = 2_048) => Type.Optional(Type.String({ maxLength }));

/** Whose page it is, and in which language it is read. @throws 404 not_found. */
export async function readerOf(
  directory: Directory,
  { account_id, headers }: Pick<FastifyRequest, "account_id" | "headers">,
  wanted: readonly string[] = [],
): Promise<{ readonly account: Account; readonly texts: Texts }> {
  const account = await findAccount(directory, account_id);
  const tags = [...wanted, ...acceptedLanguages(headers["accept-language"]), account.settings.locale];
  return { account, texts: textsFor(tags) };
}

const ACCENT = "#1f4b7a";

export function sendPage(
  reply: FastifyReply,
  { account, texts, title, body, status = 200, leads_away = false }: Page,
): FastifyReply {
  const nonce = randomBytes(16).toString("base64");
  const { logo_uri, colour = ACCENT, terms_uri, privacy_uri } = account?.settings.brand ?? {};
  const images = logo_uri !== undefined && URL.canParse(logo_uri) ? ` img-src ${new URL(logo_uri).origin};` : "";
  const forms = leads_away ? "" : " form-action 'self';";
  reply.code(status).headers({
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": `default-src 'none'; style-src 'nonce-${nonce}'; script-src ${once_source};${images}${forms} frame-ancestors 'none'; base-uri 'none'`,
  });
  const name = account && oneLine(account.name);
  const footer =
    (terms_uri ?? privacy_uri) &&
    html`<footer>
${terms_uri && html`<a href="${terms_uri}" rel="noreferrer">${texts.terms}</a>`}
${privacy_uri && html`<a href="${privacy_uri}" rel="noreferrer">${texts.privacy}</a>`}
</footer>`;
  const document = html`<!doctype html>
<html lang="${texts.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>${title}${name && ` · ${name}`}</title>
<style nonce="${nonce}">${{ markup: style(colour) }}</style>
</head>
<body>
<main>
<header>
${logo_uri && html`<img src="${logo_uri}" alt="">`}
${name && html`<p class="account">${name}</p>`}
<h1>${title}</h1>
</header>
${body}
${footer}
</main>
<script>${{ markup: once }}</script>
</body>
</html>
`;
  return reply.type("text/html; charset=utf-8").serializer(String).send(document.markup);
}
