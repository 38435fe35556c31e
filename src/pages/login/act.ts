/**
 * The hosted login (`/login`), a page a step: `oauth/browser/resume.ts` decides which, a page shows it, and what a
 * person does there moves their request on. Whoever logs in at another OpenID provider goes there and comes back by
 * `upstream-routes.ts`.
 *
 * In: a request that is open in this browser, how far it is, and the form of a page. Out: progress that is kept with
 * the request, and the browser's new cookie where somebody has logged in; the redirect that follows shows the next
 * page, or answers.
 */
import { senderOf } from "../../authentication/messages/enqueue-message.ts";
import { challengeFactor } from "../../authentication/mfa/challenge.ts";
import { finishFactor } from "../../authentication/mfa/finish.ts";
import type { OobChannel } from "../../authentication/mfa/mfa.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { knowsPerson, knowsUser } from "../../authentication/sessions/known-browser.ts";
import { awaitedCode } from "../../authentication/verification/awaited-code.ts";
import { isRecent } from "../../authentication/verification/deliver-code.ts";
import { redeemCode } from "../../authentication/verification/redeem.ts";
import { sendCode } from "../../authentication/verification/send.ts";
import { isSprayed } from "../../authentication/verification/spray.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findConnection } from "../../directory/connections/connection.ts";
import { hostedLogin, pageHost } from "../../directory/grants/audience.ts";
import type { RequestFacts } from "../../http/facts.ts";
import { checkClass } from "../../oauth/browser/answer-with-code.ts";
import type { Progress } from "../../oauth/browser/authorization-request.ts";
import { logBrowserIn } from "../../oauth/browser/log-browser-in.ts";
import { agreementTo } from "../../oauth/browser/needs-consent.ts";
import { noteProgress, noteProgressIn, type OpenRequest, saveProgress } from "../../oauth/browser/open-request.ts";
import { RedirectedRefusal, waitsNoMore } from "../../oauth/browser/redirected-refusal.ts";
import type { Resumed } from "../../oauth/browser/resume.ts";
import { recordConsent } from "../../oauth/consents/consent.ts";
import { denyDevice } from "../../oauth/device/answer-device.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { base64url } from "../../secrets/digest.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { afterFirstFactor } from "./after-first-factor.ts";

export interface Act {
  readonly action: string;
  readonly identifier?: string | undefined;
  readonly code?: string | undefined;
  readonly channel?: string | undefined;
  readonly session?: string | undefined;
}

export interface Acting {
  readonly opened: OpenRequest;
  readonly resumed: Resumed;
  readonly source: string;
  /** The language of messages that the request asks for. */
  readonly locale: string | undefined;
  readonly facts: RequestFacts;
}

/**
 * What the action of a form says is done; of one that no page has, nothing.
 *
 * @returns the browser's new cookie, where somebody has logged in. @throws RedirectedRefusal when they want to leave;
 *   what is refused, for the page to say.
 */
export async function act(oauth: Oauth, acting: Acting, { action, ...given }: Act): Promise<Secret | undefined> {
  const { request } = acting.opened;
  switch (action) {
    case "identify":
      return void (await identify(oauth, acting, given.identifier ?? "", {}));
    case "resend":
      return void (await resend(oauth, acting));
    case "code":
      return await enterCode(oauth, acting, secret(given.code ?? ""));
    case "challenge":
      return void (await challenge(oauth, acting, given.channel));
    case "factor":
      return await showFactor(oauth, acting, secret(given.code ?? ""));
    case "choose":
      return void (await choose(oauth, acting, given.session));
    case "another":
      return void (await saveProgress(oauth, request, { another: true }));
    case "restart":
      return void (await restart(oauth, acting));
    case "allow":
      return void (await allow(oauth, acting, given.session));
    case "deny":
    case "cancel":
      await refuseDevice(oauth, acting);
      throw new RedirectedRefusal(request.parameters, "access_denied");
    default:
      return undefined;
  }
}

/** Who turns a device away says so to it. @throws RedirectedRefusal when it waits no more: nothing was refused then. */
async function refuseDevice(oauth: Oauth, { opened: { request } }: Acting): Promise<void> {
  const { account_id, parameters } = request;
  const { device } = parameters;
  if (device !== undefined && !(await denyDevice(oauth, account_id, device))) throw waitsNoMore(parameters);
}

/** A code of this browser alone: made for this very login, and redeemable nowhere else. */
const audienceOf = ({ request }: OpenRequest) => hostedLogin(request.id);

/**
 * Six digits are enough, because they are bound to the browser that asked; not for browsers that nobody knows, while an
 * account is being sprayed. A message of the hosted login carries no link.
 */
const sending = (client: Client, code_format: Client["settings"]["code_format"]): Client => ({
  ...client,
  settings: { ...client.settings, code_format, login_uri: null },
});

/** The client as this login knows it, by the callback, if any, that it leads to: that one's host is what messages name. */
function ledTo({ opened, resumed: { client } }: Acting): Client {
  const { device, redirect_uri } = opened.request.parameters;
  const callbacks = device === undefined ? [redirect_uri] : [];
  return { ...client, settings: { ...client.settings, callbacks } };
}

async function identify(
  oauth: Oauth,
  acting: Acting,
  identifier: string,
  before: Pick<Progress, "login_session_id" | "again">,
  in_place_of_closed = false,
): Promise<void> {
  const { opened, resumed, source, locale, facts } = acting;
  const { account, client } = resumed;
  const text = identifier.trim();
  const kind = text.includes("@") ? ("email" as const) : ("sms" as const);
  const connection = await findConnection(oauth.directory, client, kind);
  const named = kind === "email" ? { email: text } : { phone_number: text };
  const device = base64url(opened.browser);
  const known = await knowsPerson(oauth.directory, account, opened.browser, text);
  const now = oauth.directory.storage.now();
  const sprayed = !known && (await isSprayed(oauth.directory.storage, account.account_id, now));
  const { login_session_id } = await sendCode(oauth, {
    account,
    client: sending(ledTo(acting), sprayed ? "typable" : "numeric"),
    audience: audienceOf(opened),
    connection,
    ...named,
    user_type: client.settings.user_type,
    login_session_id: before.login_session_id,
    locale,
    source: known ? device : source,
    own: known ? device : null,
    in_place_of_closed,
    actor: client.id,
    facts,
    now,
  });
  const asked = { ...before, identifier: text, connection: kind, login_session_id, asked_at: instant(now) };
  const save = before.again ? noteProgress : saveProgress;
  await save(oauth, opened.request, { ...asked, another: true });
}

/**
 * Soon after the last time nothing would go out, so nothing is asked for, nor counted; unless something went wrong since,
 * by which the code may be used up. A code that was spent is followed by a new one, since no login followed it. This
 * depends on nothing but what this browser did, and the page says the same.
 *
 * A code that others' guesses closed, with all numeric ones of the person, is followed by a longer one though as many were
 * sent in that person's name as may be: once, since no guesses close that one.
 */
async function resend(oauth: Oauth, acting: Acting): Promise<void> {
  const { request } = acting.opened;
  const { storage } = oauth.directory;
  const { identifier = "", login_session_id, asked_at, problem } = request.progress;
  const now = storage.now();
  const awaited = login_session_id && (await awaitedCode(storage, acting.resumed.account, login_session_id, now));
  const goes_on = awaited && awaited !== "none";
  const soon = asked_at !== undefined && isRecent(asked_at, now);
  if (goes_on && soon && problem === undefined)
    return noteProgress(oauth, request, { ...request.progress, again: true });
  const before = { again: true, ...(goes_on ? { login_session_id } : {}) };
  await identify(oauth, acting, identifier, before, awaited === "closed");
}

/** What they typed stands in the field again: a letter may be wrong in it. */
async function restart(oauth: Oauth, { opened: { request } }: Acting): Promise<void> {
  const { identifier } = request.progress;
  await saveProgress(oauth, request, { another: true, ...(identifier === undefined ? {} : { identifier }) });
}

async function enterCode(oauth: Oauth, acting: Acting, code: Secret): Promise<Secret | undefined> {
  const { opened, resumed, facts } = acting;
  const { account, client } = resumed;
  const { request } = opened;
  const { login_session_id } = request.progress;
  const now = oauth.directory.storage.now();
  const { grant_id } = request.parameters;
  const subject = await redeemCode(oauth, {
    account,
    client: ledTo(acting),
    grant_id,
    audience: audienceOf(opened),
    verification_code: code,
    login_session_id,
    actor: client.id,
    facts,
    now,
  });
  return afterFirstFactor(oauth, acting, subject, grant_id, now);
}

/**
 * The app needs no message: what was sent before is waited for no more. Whoever asks for a message once more, at once
 * or soon after the last one, is sent none, as with the first code: another would make the one that is on its way worthless.
 */
async function challenge(oauth: Oauth, acting: Acting, named: string | undefined): Promise<void> {
  const { opened, resumed, source, locale, facts } = acting;
  const { account, client } = resumed;
  const { request } = opened;
  const { mfa_token = "", oob_channel, asked_at, problem } = request.progress;
  const now = oauth.directory.storage.now();
  const pending = await openLogin(oauth.directory, account.account_id, secret(mfa_token), now);
  if (named === "app") return saveProgress(oauth, request, { mfa_token, another: true });
  const channel: OobChannel = named === "email" ? "email" : "sms";
  const again = channel === oob_channel;
  if (again && problem === undefined && asked_at !== undefined && isRecent(asked_at, now))
    return noteProgress(oauth, request, { ...request.progress, again });
  const sender = senderOf(account, ledTo(acting), pageHost(oauth.directory.public_url, audienceOf(opened)));
  const known = await knowsUser(oauth.directory, account.account_id, opened.browser, pending.subject.user_id);
  const from = { source, own: known ? base64url(opened.browser) : undefined };
  const sent = { mfa_token, oob_channel: channel, asked_at: instant(now), again, another: true };
  const keep = (tx: Transaction, oob_code: Secret) =>
    noteProgressIn(tx, request, { ...sent, oob_code: reveal(oob_code) });
  await challengeFactor(oauth, {
    ...{ account, pending, channel, sender, ...from },
    ...{ keep, locale, actor: client.id, facts, now },
  });
}

async function showFactor(oauth: Oauth, acting: Acting, code: Secret): Promise<Secret | undefined> {
  const { opened, resumed, source, facts } = acting;
  const { account, client } = resumed;
  const { mfa_token = "", oob_code } = opened.request.progress;
  const now = oauth.directory.storage.now();
  const pending = await openLogin(oauth.directory, account.account_id, secret(mfa_token), now);
  const presented = oob_code === undefined ? { otp: code } : { oob_code: secret(oob_code), binding_code: code };
  const about = { account, pending, presented, source, actor: client.id, facts, now };
  const subject = await finishFactor(oauth.directory, about);
  return logBrowserIn(oauth, account, opened, subject, now);
}

async function choose(oauth: Oauth, { opened, resumed }: Acting, session_id: string | undefined): Promise<void> {
  if (!resumed.sessions.some(({ id }) => id === session_id) || session_id === undefined) return;
  await saveProgress(oauth, opened.request, { session_id });
}

/** `shown`: the session of whom the page named. Nobody else allows by it (OpenID Connect Core §3.1.2.4): they are asked. */
async function allow(oauth: Oauth, { opened, resumed }: Acting, shown: string | undefined): Promise<void> {
  const { account, client, next } = resumed;
  const { request } = opened;
  const { progress } = request;
  // They have read what is asked for so long that they have to log in again, unless they are about to.
  if (next.step === "login" && !progress.another)
    return noteProgress(oauth, request, { ...progress, problem: "login_over" });
  if (next.step !== "consent") return;
  const { user_id, id: session_id } = next.session;
  if (session_id !== shown) return noteProgress(oauth, request, { ...progress, problem: "login_changed" });
  checkClass(request.parameters, next.session);
  const agreement = agreementTo({ account, client, user_id, parameters: request.parameters });
  await recordConsent(oauth.directory, agreement);
  const { fresh } = progress;
  await saveProgress(oauth, request, { session_id, consented: true, ...(fresh ? { fresh } : {}) });
}
