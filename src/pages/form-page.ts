import { randomBytes } from "node:crypto";
import { callbackHost } from "../directory/clients/home.ts";
import type { Directory } from "../directory/directory.ts";
import { oneLine } from "../http/one-line.ts";
import type { FormPage } from "../oauth/browser/answer.ts";
import { html } from "./html.ts";
import { readerOf } from "./page.ts";
import { placeOf } from "./place-of.ts";

/**
 * An answer that the browser posts to the client (OAuth 2.0 Form Post Response Mode §2): by itself, and by a button where
 * no script runs. It is seen for a moment at most, so it brings no logo, and no more style than lets a thumb meet the button;
 * light or dark is the browser's own. It may be framed, as who asks with `prompt=none` does: an answer in the
 * address reaches a frame as well. The client is told the origin that posts to it, and no address.
 */
export function formPage(directory: Directory): FormPage {
  return async (reply, { redirect_uri, ui_locales }, fields) => {
    const { account, texts } = await readerOf(directory, reply.request, ui_locales);
    const nonce = randomBytes(16).toString("base64");
    const title = texts.consent_at(placeOf(texts, callbackHost(redirect_uri)));
    const { markup } = html`<!doctype html>
<html lang="${texts.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>${title} · ${oneLine(account.name)}</title>
<style nonce="${nonce}">body{font:1.0625rem/1.5 system-ui,sans-serif;padding:1rem;overflow-wrap:anywhere}h1{font-size:1.25rem}button{font:inherit;min-height:3rem;padding:.75rem 1rem}</style>
</head>
<body>
<main>
<h1>${title}</h1>
<form method="post" action="${redirect_uri}">
${fields.map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">\n`)}<button>${texts.go_on}</button>
</form>
</main>
<script nonce="${nonce}">document.forms[0].submit()</script>
</body>
</html>
`;
    const policy = `default-src 'none'; script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; base-uri 'none'`;
    reply.headers({ "content-security-policy": policy, "referrer-policy": "origin" });
    return reply.type("text/html; charset=utf-8").serializer(String).send(markup);
  };
}
