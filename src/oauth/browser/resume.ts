import { randomUUID } from "node:crypto";
import type { Session } from "../../authentication/sessions/session.ts";
import { findSessions, noteAuthorization, touchSession } from "../../authentication/sessions/sessions.ts";
import { type Account, issuerOf } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findUser } from "../../directory/users/find-user.ts";
import { instant } from "../../storage/storage.ts";
import { mintAuthorizationCode } from "../authorization-code.ts";
import { authorizePerson } from "../authorization-for.ts";
import { approveDevice } from "../device/answer-device.ts";
import { LIFETIME } from "../device/device-code.ts";
import type { Oauth } from "../oauth.ts";
import { claimsAbout } from "../userinfo/claims-about.ts";
import { type Answer, codeAnswer } from "./answer.ts";
import { type AuthorizationRequest, identity_scopes, userinfoAudience } from "./authorization-request.ts";
import { needsConsent } from "./consent.ts";
import { RedirectedRefusal } from "./refuse-at.ts";
import { updateUsed } from "./store.ts";

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
  const sessions = await findSessions(directory, request.account_id, browser);
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

/** Ends a request with a code, once: at the client, or for the device that waits for it. @throws RedirectedRefusal when another answer was given already. */
export async function answerWithCode(
  oauth: Oauth,
  { account, client }: Resumed,
  { account_id, id, parameters }: AuthorizationRequest,
  session: Session,
): Promise<Answer> {
  const { directory } = oauth;
  const { storage, master_keys, public_url } = directory;
  const now = storage.now();
  if (!(await storage.write((tx) => updateUsed(tx.db, account_id, id, instant(now))))) {
    throw new RedirectedRefusal(parameters, "invalid_request", "This login was answered already.");
  }
  if (parameters.own_page) {
    await touchSession(directory, account, session);
    return { to: parameters, parameters: [] };
  }
  const issuer = issuerOf(public_url, account_id);
  const user = await findUser(directory, account_id, session.user_id);
  const sid = randomUUID();
  const identity = parameters.scope.filter((scope) => identity_scopes.includes(scope));
  const subject = {
    user_id: user.id,
    ...(identity.includes("email") && user.email
      ? { email: user.email, email_verified: user.email_verified_at !== null }
      : {}),
    ...(identity.includes("profile") && user.name ? { name: user.name } : {}),
    ...(identity.includes("phone") && user.phone_number ? { phone_number: user.phone_number } : {}),
    authenticated_at: session.auth_time,
    amr: session.amr,
    second_factor: user.second_factor === 1,
    authorization_id: sid,
  };
  const audience = parameters.audience ?? userinfoAudience(issuer);
  const others = parameters.scope.filter((scope) => !identity_scopes.includes(scope));
  const grant = { id: parameters.grant_id, scope: others };
  const authorization = await authorizePerson(directory, { account, client, grant, audience, subject });
  await noteAuthorization(directory, session, sid, client.id);
  await touchSession(directory, account, session);
  const { issuing: _issuing, ...rest } = authorization;
  const { redirect_uri, redirect_uri_named, code_challenge, nonce, openid } = parameters;
  const bound = { redirect_uri, redirect_uri_named, code_challenge, nonce, openid, session_id: session.id };
  const scope = [...new Set([...identity, ...authorization.scope])];
  const { dpop_jkt, claims } = parameters;
  const told = { userinfo_claims: claims?.userinfo, dpop_jkt };
  const content = {
    authorization: { ...rest, scope, ...told },
    claims: claimsAbout(user, claims?.id_token ?? []),
    ...bound,
  };
  const { device } = parameters;
  const code = mintAuthorizationCode(
    master_keys,
    account_id,
    content,
    now,
    device === undefined ? undefined : LIFETIME,
  );
  if (device === undefined) return codeAnswer(parameters, code, issuer);
  if (await approveDevice(oauth, account_id, device, code)) return { to: parameters, parameters: [["done", "yes"]] };
  throw new RedirectedRefusal(parameters, "access_denied", "The device waits no more.");
}
