import type { FastifyReply } from "fastify";
import { errorDescription } from "../../errors.ts";
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

/** The page that posts an answer's fields to the client; handed in by whoever has pages. */
export type FormPage = (
  reply: FastifyReply,
  to: AnswerTo,
  fields: readonly (readonly [name: string, value: string])[],
) => Promise<FastifyReply>;

const headers = { "cache-control": "no-store", "referrer-policy": "no-referrer" };

/** 303, so that no form is sent on (RFC 9700 §4.12); or a page that posts itself (OAuth 2.0 Form Post Response Mode §2). */
export async function sendAnswer(
  reply: FastifyReply,
  { to, parameters }: Answer,
  formPage: FormPage,
): Promise<FastifyReply> {
  reply.headers(headers);
  const { redirect_uri, response_mode } = to;
  if (response_mode === "form_post") {
    const fields = parameters.filter((pair): pair is readonly [string, string] => pair[1] !== undefined);
    return formPage(reply, to, fields);
  }
  const address =
    response_mode === "fragment" ? addAsFragment(redirect_uri, parameters) : addToQuery(redirect_uri, parameters);
  return reply.redirect(reveal(address), 303);
}
