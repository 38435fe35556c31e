import type { FastifyReply } from "fastify";
import { findSessions } from "../../authentication/sessions/find-sessions.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { callbackHost } from "../../directory/clients/home.ts";
import type { Directory } from "../../directory/directory.ts";
import { anyAgreed } from "../consents/consent.ts";
import { errorAnswer, type FormPage, sendAnswer } from "./answer.ts";
import { browserOf } from "./cookie.ts";
import { type AnswerTo, directly, RedirectedRefusal } from "./redirected-refusal.ts";

/**
 * Tells a client of a refusal that nobody saw, from any door that a browser can be pushed through. A client that
 * registered itself could otherwise use this server's address to lead people anywhere (RFC 9700 §4.11.2): to its
 * callback goes only whoever has agreed to it before.
 *
 * @throws the refusal itself, for a page of ours, where the browser may not go there; any other error as it is.
 */
export async function sendRefusal(
  directory: Directory,
  reply: FastifyReply,
  error: unknown,
  formPage: FormPage,
): Promise<FastifyReply> {
  if (!(error instanceof RedirectedRefusal)) throw error;
  const { request } = reply;
  const { account_id } = request;
  if (!(await mayGoThere(directory, account_id, error.to, browserOf(request, directory)))) throw directly(error);
  return sendAnswer(reply, errorAnswer(error, issuerOf(directory.public_url, account_id)), formPage);
}

/**
 * Whether somebody who is logged in in this browser has agreed to the client, as far as nobody of the account checked it:
 * to one that registered itself at this very host.
 */
export async function mayGoThere(
  directory: Directory,
  account_id: string,
  { unchecked, redirect_uri }: Pick<AnswerTo, "unchecked" | "redirect_uri">,
  browser: Uint8Array | undefined,
): Promise<boolean> {
  if (unchecked === undefined) return true;
  const client = await lookUpClient(directory, account_id, unchecked);
  const sessions = client ? await findSessions(directory, account_id, browser) : [];
  const people = sessions.map(({ user_id }) => user_id);
  return client !== undefined && anyAgreed(directory, client, people, callbackHost(redirect_uri));
}
