import { randomUUID } from "node:crypto";
import type { Session } from "../../authentication/sessions/session.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import { findUser } from "../../directory/users/find-user.ts";
import type { User } from "../../directory/users/user.ts";
import type { ErrorCode } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { type AuthorizationCode, mintAuthorizationCode, newAuthorizationCode } from "../authorization-code.ts";
import { acr_values, authorizePerson } from "../authorization-for.ts";
import { approveDevice } from "../device/answer-device.ts";
import { DEVICE_CODE_LIFETIME } from "../device/device-code.ts";
import type { Oauth } from "../oauth.ts";
import { identity_scopes, userinfoAudience } from "../scopes.ts";
import { claimsAbout, toldByScope } from "../userinfo/claims-about.ts";
import { type Answer, codeAnswer } from "./answer.ts";
import { type Answered, type Answering, answerStatement } from "./answer-statement.ts";
import type { AuthorizationParameters, AuthorizationRequest } from "./authorization-request.ts";
import { answerInFull } from "./make-room.ts";
import { agreementTo, asksConsent } from "./needs-consent.ts";
import { type RedirectError, RedirectedRefusal, waitsNoMore } from "./redirected-refusal.ts";
import { noteValues } from "./repeated-values.ts";
import type { Resumed } from "./resume.ts";

/**
 * Ends a request with a code: at the client, or for the device that waits for it. One that was kept for a login page ends once.
 *
 * @throws RedirectedRefusal when the login is not of a class that is essential, another answer was given already, the
 *   session has ended, or the device waits no more.
 */
export async function answerWithCode(
  oauth: Oauth,
  resumed: Resumed,
  request: AuthorizationRequest,
  session: Session,
): Promise<Answer> {
  const { directory } = oauth;
  const { account_id, parameters } = request;
  checkClass(parameters, session);
  const sid = randomUUID();
  await spend(oauth, resumed, request, session, sid);
  if (parameters.own_page) return { to: parameters, parameters: [] };
  const [content] = await Promise.all([
    contentFor(oauth, resumed, parameters, session, sid),
    noteValues(directory, resumed.client, session, parameters),
  ]);
  const { device } = parameters;
  const now = directory.storage.now();
  if (device === undefined) {
    const code = mintAuthorizationCode(directory.master_keys, account_id, content, now);
    return codeAnswer(parameters, code, issuerOf(directory.public_url, account_id));
  }
  const earned = newAuthorizationCode(content, now, DEVICE_CODE_LIFETIME);
  if (await approveDevice(oauth, account_id, device, earned)) return { to: parameters, parameters: [["done", "yes"]] };
  throw waitsNoMore(parameters);
}

/** Two factors are worth more than one. @returns the classes that a login reached, the highest first. */
const reachedBy = ({ amr }: Session): readonly string[] =>
  acr_values.slice(0, amr.includes("mfa") ? undefined : 1).toReversed();

/** Pure. @throws RedirectedRefusal where a class that is essential was not reached. */
export function checkClass(parameters: AuthorizationParameters, session: Session): void {
  const { essential_acr } = parameters;
  const reached = reachedBy(session);
  if (essential_acr === undefined || essential_acr.some((one) => reached.includes(one))) return;
  throw new RedirectedRefusal(
    parameters,
    "unmet_authentication_requirements",
    "The person has not logged in by the class that the client needs.",
  );
}

const refusals: Record<Exclude<Answered, "given">, readonly [ErrorCode | RedirectError, string]> = {
  given_before: ["invalid_request", "This login was answered already."],
  session_ended: ["login_required", "The session has ended."],
  consent_withdrawn: ["consent_required", "What was agreed to has been taken back."],
  session_full: ["temporarily_unavailable", "This session has led to too many logins. Try again later."],
};

/** @throws RedirectedRefusal when there is no answer to give. */
async function spend(
  { directory }: Oauth,
  { account, client }: Resumed,
  { account_id, id, kept, parameters }: AuthorizationRequest,
  session: Session,
  sid: string,
): Promise<void> {
  const { storage } = directory;
  const now = storage.now();
  const { own_page } = parameters;
  const asking = { account, client, user_id: session.user_id, parameters };
  const agreement = asksConsent(client, parameters) ? agreementTo(asking) : undefined;
  const answering: Answering = {
    account_id,
    session_id: session.id,
    now: instant(now),
    idle_expires_at: instant(now + account.settings.session_idle_lifetime * 1000),
    request_id: kept ? id : null,
    sid: own_page ? null : sid,
    client_id: client.id,
    consent_audience: agreement?.audience ?? null,
    consent_host: agreement?.host ?? null,
    consent_scope: agreement ? JSON.stringify(agreement.scope) : null,
  };
  let answered = await storage.hot(answerStatement, answering);
  if (answered === "session_full") answered = await answerInFull(directory, answering, now);
  if (answered !== "given") throw new RedirectedRefusal(parameters, ...refusals[answered]);
}

async function contentFor(
  { directory }: Oauth,
  { account, client }: Resumed,
  parameters: AuthorizationParameters,
  session: Session,
  sid: string,
): Promise<Omit<AuthorizationCode, "id" | "expires_at">> {
  const { audience, grant_id, scope, claims, dpop_jkt } = parameters;
  const user = await findUser(directory, account.account_id, session.user_id);
  const identity = scope.filter((one) => identity_scopes.includes(one));
  const login = {
    account,
    client,
    grant: { id: grant_id, scope: scope.filter((one) => !identity_scopes.includes(one)) },
    audience: audience ?? userinfoAudience(directory.public_url, account.account_id),
    subject: subjectOf(user, identity, session, sid),
  };
  const { issuing: _issuing, ...authorization } = await authorizePerson(directory, login);
  const whole = [...new Set([...identity, ...authorization.scope])];
  const { redirect_uri, redirect_uri_named, code_challenge, nonce, openid, lasting } = parameters;
  const provider = session.provider ?? undefined;
  return {
    authorization: { ...authorization, scope: whole, userinfo_claims: claims?.userinfo, dpop_jkt },
    claims: claimsAbout(user, claims?.id_token ?? []),
    acr: reachedBy(session).find((one) => parameters.named_acr?.includes(one)),
    ...{ redirect_uri, redirect_uri_named, code_challenge, nonce, openid, lasting, session_id: session.id, provider },
  };
}

/** What the client may know of the person. */
function subjectOf(user: User, identity: readonly string[], session: Session, sid: string) {
  return {
    user_id: user.id,
    ...toldByScope(user, identity),
    authenticated_at: session.auth_time,
    amr: session.amr,
    second_factor: user.second_factor === 1,
    authorization_id: sid,
  };
}
