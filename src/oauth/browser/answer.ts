import { randomBytes } from "node:crypto";
import type { FastifyReply } from "fastify";
import { errorDescription } from "../../errors.ts";
import { escapeHtml } from "../../http/escape-html.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { addAsFragment, addToQuery, type Parameters } from "../redirect-address.ts";
import type { AnswerTo, RedirectedRefusal } from "./redirected-refusal.ts";

/** Where a browser goes with an answer, and in which manner. */
export interface Answer {
  readonly to: AnswerTo;
  readonly parameters: Parameters;
}

export function errorAnswer({ to, error, message }: RedirectedRefusal, issuer: string): Answer {
  const parameters: Parameters = [
    ["error", error],
    ["error_description", errorDescription(message)],
    ["state", to.state],
    ["iss", issuer],
  ];
  return { to, parameters };
}

export function codeAnswer(to: AnswerTo, code: Secret, issuer: string): Answer {
  return {
    to,
    parameters: [
      ["code", reveal(code)],
      ["state", to.state],
      ["iss", issuer],
    ],
  };
}

const headers = { "cache-control": "no-store", "referrer-policy": "no-referrer" };

/** 303, so that no form is sent on (RFC 9700 §4.12); or a page that posts itself (OAuth 2.0 Form Post Response Mode §2). */
export function sendAnswer(reply: FastifyReply, { to, parameters }: Answer): FastifyReply {
  reply.headers(headers);
  const { redirect_uri, response_mode } = to;
  if (response_mode === "form_post") return sendForm(reply, redirect_uri, parameters);
  const address =
    response_mode === "fragment" ? addAsFragment(redirect_uri, parameters) : addToQuery(redirect_uri, parameters);
  return reply.redirect(reveal(address), 303);
}

function sendForm(reply: FastifyReply, redirect_uri: string, parameters: Parameters): FastifyReply {
  const nonce = randomBytes(16).toString("base64");
  const fields = parameters
    .filter((pair): pair is readonly [string, string] => pair[1] !== undefined)
    .map(([name, value]) => `<input type="hidden" name="${escapeHtml(name)}" value="${escapeHtml(value)}">`);
  reply.header(
    "content-security-policy",
    `default-src 'none'; script-src 'nonce-${nonce}'; frame-ancestors 'none'; base-uri 'none'`,
  );
  return reply
    .type("text/html; charset=utf-8")
    .serializer(String)
    .send(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>…</title></head>
<body>
<form method="post" action="${escapeHtml(redirect_uri)}">
${fields.join("\n")}
<noscript><button>OK</button></noscript>
</form>
<script nonce="${nonce}">document.forms[0].submit()</script>
</body>
</html>
`);
}
