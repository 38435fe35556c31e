import type { Session } from "../../authentication/sessions/session.ts";
import { findSessions } from "../../authentication/sessions/sessions.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import type { Oauth } from "../oauth.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { needsConsent } from "./consent.ts";
import { RedirectedRefusal } from "./refuse-at.ts";

/** What a browser has to do next. */
export type Next =
  | { readonly step: "choose"; readonly sessions: readonly Session[] }
  | { readonly step: "login" }
  | { readonly step: "factor"; readonly session: Session }
  | { readonly step: "consent"; readonly session: Session }
  | { readonly step: "done"; readonly session: Session };

export interface Resumed {
  readonly account: Account;
  readonly client: Client;
  readonly sessions: readonly Session[];
  readonly next: Next;
}

/** How far this browser is with this request: decided from the request and from who is logged in, every time anew. */
export async function nextStep(
  { directory }: Oauth,
  request: AuthorizationRequest,
  browser: Uint8Array | undefined,
): Promise<Resumed> {
  const account = await findAccount(directory, request.account_id);
  const client = await findClient(directory, request.account_id, request.client_id);
  const all = await findSessions(directory, request.account_id, browser);
  // A client logs in one type of user; whoever else is logged in here does not exist for it.
  const sessions = all.filter(({ user_type }) => user_type === client.settings.user_type);
  return { account, client, sessions, next: await decide(directory, { account, client }, request, sessions) };
}

async function decide(
  directory: Oauth["directory"],
  { account, client }: Pick<Resumed, "account" | "client">,
  { parameters, progress }: AuthorizationRequest,
  sessions: readonly Session[],
): Promise<Next> {
  const { prompt, max_age, subject_hint, two_factors } = parameters;
  if (progress.another) return { step: "login" };
  const chosen = sessions.find(({ id }) => id === progress.session_id);
  const hinted = subject_hint === undefined ? undefined : sessions.filter(({ user_id }) => user_id === subject_hint);
  const candidates = hinted ?? sessions;
  if (!chosen && (prompt.includes("login") || prompt.includes("create") || candidates.length === 0))
    return { step: "login" };
  if (!chosen && (candidates.length > 1 || prompt.includes("select_account")))
    return { step: "choose", sessions: candidates };
  const session = chosen ?? candidates[0];
  if (!session) return { step: "login" };
  const too_old = max_age !== undefined && directory.storage.now() - session.auth_time > max_age * 1000;
  if (!progress.fresh && (too_old || prompt.includes("login"))) return { step: "login" };
  if (subject_hint !== undefined && session.user_id !== subject_hint) return { step: "login" };
  if (two_factors && !session.amr.includes("mfa") && !progress.fresh) return { step: "login" };
  const asking = { account, client, user_id: session.user_id, parameters };
  if (!progress.consented && (await needsConsent(directory, asking))) return { step: "consent", session };
  return { step: "done", session };
}

const silently = {
  choose: "account_selection_required",
  login: "login_required",
  factor: "login_required",
  consent: "consent_required",
} as const;

/** prompt=none: nothing may be asked (OpenID Connect Core §3.1.2.6). @throws RedirectedRefusal when something has to be. */
export function checkSilent({ parameters }: AuthorizationRequest, { step }: Next): void {
  if (step !== "done" && parameters.prompt.includes("none")) throw new RedirectedRefusal(parameters, silently[step]);
}
