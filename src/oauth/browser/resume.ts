import { findSessions } from "../../authentication/sessions/find-sessions.ts";
import type { Session } from "../../authentication/sessions/session.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { grantsOf } from "../../directory/grants/grants-of.ts";
import { namesProvider } from "../../directory/grants/provided.ts";
import { lookUpAt } from "../../directory/judge.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { acr_values } from "../authorization-for.ts";
import type { Oauth } from "../oauth.ts";
import { findHoldersClient } from "../registration/find-current-client.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { asksConsent, isAnybodys, needsConsent } from "./needs-consent.ts";
import { RedirectedRefusal } from "./redirected-refusal.ts";
import { providersOf } from "./upstream.ts";

/** What a browser has to do next. */
export type Next =
  | { readonly step: "choose"; readonly sessions: readonly Session[] }
  | { readonly step: "login" }
  | { readonly step: "consent"; readonly session: Session }
  | { readonly step: "confirm"; readonly session: Session }
  | { readonly step: "done"; readonly session: Session };

export interface Resumed {
  readonly account: Account;
  readonly client: Client;
  readonly sessions: readonly Session[];
  readonly next: Next;
}

/**
 * How far this browser is with this request: decided from the request, its client and who is logged in, every time anew.
 *
 * @throws 403 unauthorized_client where the client is gone, or described no more.
 */
export async function nextStep(
  oauth: Oauth,
  request: AuthorizationRequest,
  browser: Uint8Array | undefined,
): Promise<Resumed> {
  const { directory } = oauth;
  const account = await findAccount(directory, request.account_id);
  const resume = async (client: Client): Promise<Resumed> => {
    const sessions = await usableSessions(oauth, { account, client }, request, browser);
    return { account, client, sessions, next: await decide(directory, { account, client }, request, sessions) };
  };
  const client = await findHoldersClient(oauth, request.account_id, request.client_id);
  const resumed = await resume(client);
  const { parameters } = request;
  const { step } = resumed.next;
  if (!parameters.prompt.includes("none") || (step !== "consent" && step !== "confirm")) return resumed;
  const own = await lookUpAt(directory, client, (current) =>
    asksConsent(current, parameters) || isAnybodys(current, parameters) ? undefined : current,
  );
  return own ? resume(own) : resumed;
}

/**
 * Who is logged in here, as far as this client may know: a client logs in one type of user, and what another server
 * says about somebody counts only at clients that ask that server. Whoever else is logged in does not exist for it.
 */
async function usableSessions(
  oauth: Oauth,
  resumed: Pick<Resumed, "account" | "client">,
  request: AuthorizationRequest,
  browser: Uint8Array | undefined,
): Promise<readonly Session[]> {
  const { user_type: wanted } = resumed.client.settings;
  const found = await findSessions(oauth.directory, request.account_id, browser);
  const sessions = found.filter(({ user_type }) => user_type === wanted);
  if (sessions.every(({ provider }) => provider === null)) return sessions;
  const asked = await providersOf(oauth, resumed, request);
  return sessions.filter(({ provider }) => provider === null || namesProvider(asked, provider));
}

/** Whether a session says anything at a client, whatever is asked there. */
export async function countsAt({ directory }: Pick<Oauth, "directory">, { provider }: Session, client: Client) {
  return provider === null || namesProvider(await grantsOf(directory, client), provider);
}

/**
 * Milliseconds for which a login is new enough for the request that it was made for, or a `max_age` of 0 could never be met, nor
 * one by a login at another provider, which was judged when it came.
 */
const TIME_TO_AGREE = 60_000;

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
  // What a session showed or agreed to for this request says nothing of another.
  const fresh = chosen && progress.fresh;
  const consented = progress.consented && chosen !== undefined;
  const now = directory.storage.now();
  const just_now = typeof fresh === "number" ? now - fresh <= TIME_TO_AGREE : fresh === true;
  // Also who logged in for this very request, and left it lying since.
  const too_old = max_age !== undefined && !just_now && now - session.auth_time > max_age * 1000;
  if (too_old || (!fresh && prompt.includes("login"))) return { step: "login" };
  if (subject_hint !== undefined && session.user_id !== subject_hint) return { step: "login" };
  const one_factor = two_factors && !session.amr.includes("mfa");
  if (one_factor && !fresh && (await mayReachTwo(directory, session, parameters))) return { step: "login" };
  const asking = { account, client, user_id: session.user_id, parameters };
  if (!consented && (await needsConsent(directory, asking))) return { step: "consent", session };
  if (!chosen && isAnybodys(client, parameters)) return { step: "confirm", session };
  return { step: "done", session };
}

/**
 * A class that is not essential and cannot be had is not asked for (OpenID Connect Core §5.5.1.1): who has no second
 * factor would log in for nothing each time. An essential one may be reached by a factor that they set up meanwhile.
 */
async function mayReachTwo(
  directory: Oauth["directory"],
  { account_id, user_id }: Session,
  { essential_acr }: AuthorizationRequest["parameters"],
): Promise<boolean> {
  if (essential_acr && !essential_acr.includes(acr_values[0])) return true;
  return (await lookUpUser(directory, account_id, user_id))?.second_factor === 1;
}

const silently = {
  choose: "account_selection_required",
  login: "login_required",
  consent: "consent_required",
  confirm: "interaction_required",
} as const;

/** prompt=none: nothing may be asked (OpenID Connect Core §3.1.2.6). @throws RedirectedRefusal when something has to be. */
export function checkSilent({ parameters }: AuthorizationRequest, { step }: Next): void {
  if (step !== "done" && parameters.prompt.includes("none")) throw new RedirectedRefusal(parameters, silently[step]);
}

/**
 * Whoever has just logged in is the one whom the client asked for (OpenID Connect Core §3.1.2.1, id_token_hint).
 *
 * @throws RedirectedRefusal when it is somebody else.
 */
export function checkHinted({ parameters, progress }: AuthorizationRequest, { sessions }: Resumed): void {
  const { subject_hint } = parameters;
  const fresh = progress.fresh ? sessions.find(({ id }) => id === progress.session_id) : undefined;
  if (!fresh || subject_hint === undefined || fresh.user_id === subject_hint) return;
  throw new RedirectedRefusal(parameters, "login_required", "Somebody else has logged in than was asked for.");
}
