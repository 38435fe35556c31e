import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { callbackHost } from "../../directory/clients/home.ts";
import { type AuthorizationRequest, askedScope } from "../../oauth/browser/authorization-request.ts";
import { isAnybodys, shownHome } from "../../oauth/browser/needs-consent.ts";
import { breakable, type Html, html } from "../html.ts";
import { nameOf } from "../name-of.ts";
import { type KnownPerson, labelOf, labelsOf } from "../person-labels.ts";
import { placeOf } from "../place-of.ts";
import { inWords, sayProblem } from "../say-problem.ts";
import { scopeList } from "../scope-list.ts";
import type { Problem, Texts } from "../texts/texts.ts";

export interface View {
  readonly title: string;
  readonly body: Html;
}

/** Characters of an address or number that the form takes. */
export const LONGEST_IDENTIFIER = 320;

interface Context {
  readonly texts: Texts;
  readonly request: AuthorizationRequest;
  readonly account: Account;
  readonly client: Client;
  /** Seconds until what went wrong is over. */
  readonly wait?: number | undefined;
}

/** What went wrong, in the words of the page; `meaning` is what a code means there. */
function problemOf(
  { texts, request, wait }: Context,
  meaning: Readonly<Record<string, Problem>> = {},
  problem = request.progress.problem,
  more: string | false = false,
): Html | undefined {
  if (problem === undefined) return undefined;
  const meant = meaning[problem] ?? (problem as Problem);
  const said = sayProblem(texts, meant in texts.problems ? meant : "failed", wait);
  return html`<p class="problem" role="alert" id="problem">${said}${more && ` ${more}`}</p>`;
}

/** A message too many is no fault of the code. */
const isOfCode = (problem: string) => problem !== "too_many_requests";

/** What a field says of the problem: that it is read with it, before `others`, and whether what was typed there is at fault. */
function described({ request }: Context, at_fault: (problem: string) => boolean, ...others: readonly string[]): Html {
  const { problem } = request.progress;
  const told = problem === undefined ? others : ["problem", ...others];
  return html`${problem !== undefined && at_fault(problem) && html` aria-invalid="true"`}${told.length > 0 && html` aria-describedby="${told.join(" ")}"`}`;
}

function form({ request }: Context, action: string, content: Html): Html {
  return html`<form method="post" action="?request=${request.id}">
<input type="hidden" name="action" value="${action}">
${content}
</form>`;
}

const cancel = (context: Context) =>
  form(context, "cancel", html`<button class="other">${context.texts.cancel}</button>`);

/** What the field for an address or number is called, what is said of a wrong one, and what leads back to it. */
const identifiers = {
  either: { label: "identifier", wrong: "invalid_identifier", another: "another_identifier", keyboard: "email" },
  email: { label: "identifier_email", wrong: "invalid_email", another: "another_email", keyboard: "email" },
  sms: { label: "identifier_phone", wrong: "invalid_phone", another: "another_phone", keyboard: "tel" },
} as const;

/** What is said where the client sends no codes: none is offered in place of another login. */
const without_codes: Readonly<Record<string, Problem>> = {
  invalid_request: "access_denied",
  user_not_linked: "access_denied",
  upstream_login_failed: "failed",
  verification_code_expired: "failed",
};

/** … by where the client sends codes to; undefined where it sends none. */
function identifierOf({ settings: { connections } }: Client) {
  if (connections?.length === 0) return undefined;
  const [only = "either", another] = (["email", "sms"] as const).filter((name) => connections?.includes(name));
  return identifiers[another === undefined ? only : "either"];
}

/** Another server that may log people in. */
export interface ProviderButton {
  readonly id: string;
  readonly host: string;
}

/** A longer one would fill the field with what no form may send. */
const hintOf = ({ login_hint = "" }: AuthorizationRequest["parameters"]) =>
  login_hint.length > LONGEST_IDENTIFIER ? "" : login_hint;

export function identifyView(context: Context, providers: readonly ProviderButton[]): View {
  const { texts, account, client, request } = context;
  const creates = request.parameters.prompt.includes("create") && client.settings.signup;
  const asked = identifierOf(client);
  const no_way = asked === undefined && providers.length === 0;
  return {
    title: creates ? texts.create(nameOf(account, client)) : texts.login(nameOf(account, client)),
    body: html`${
      asked
        ? html`<p class="quiet">${creates ? texts.create_intro : texts.login_intro}</p>
${problemOf(context, { invalid_request: asked.wrong })}
${identifierForm(context, asked)}`
        : problemOf(context, without_codes, no_way ? "access_denied" : undefined)
    }
${providers.map(
  ({
    id,
    host,
  }) => html`<a class="button" href="login/upstream?request=${request.id}&with=${id}" rel="noreferrer">${breakable(texts.log_in_with(host))}</a>
`,
)}
${cancel(context)}`,
  };
}

function identifierForm(context: Context, { label, keyboard }: (typeof identifiers)[keyof typeof identifiers]): Html {
  const { texts, request } = context;
  const value = request.progress.identifier ?? hintOf(request.parameters);
  return form(
    context,
    "identify",
    html`<label for="identifier">${texts[label]}</label>
<input id="identifier" name="identifier" type="text" inputmode="${keyboard}" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="${LONGEST_IDENTIFIER}" value="${value}"${described(context, (problem) => problem === "invalid_request")} autofocus>
<button class="main">${texts.send_code}</button>`,
  );
}

/**
 * `good`: a code that came before can be entered, though no other was sent. Where others' guesses have closed a person's numeric
 * codes the longer one was sent, of which nobody is told who asks: the page is the same for both, and its keyboard has letters.
 */
export function codeView(context: Context, good: boolean): View {
  const { texts, request, client, account } = context;
  const { code_lifetime, numeric_code_length } = account.settings;
  const { identifier = "", connection, again, problem } = request.progress;
  const { another } = identifierOf(client) ?? identifiers.either;
  const notice = again && problem === undefined;
  // Mail goes to everybody who may sign up; an SMS not to every country, nor to a number that several people have.
  const said = client.settings.signup && connection === "email" ? texts.code_coming : texts.code_sent;
  return {
    title: texts.enter_code,
    body: html`<p>${said(identifier)}</p>
${notice && html`<p role="status" id="notice">${texts.resent}</p>`}${problemOf(context, {}, problem, good && texts.code_still_good)}
${form(
  context,
  "code",
  html`<label for="code">${texts.code}</label>
<input id="code" name="code" class="code" type="text" inputmode="text" autocomplete="one-time-code" autocapitalize="characters" spellcheck="false" required maxlength="64"${described(context, isOfCode, ...(notice ? ["notice"] : []), "hint")} autofocus>
<p class="quiet" id="hint">${texts.code_hint(numeric_code_length, inWords(texts, code_lifetime))}${connection === "email" && ` ${texts.code_in_spam}`}</p>
<button class="main">${texts.go_on}</button>`,
)}
${form(context, "resend", html`<button class="other">${texts.resend}</button>`)}
${form(context, "restart", html`<button class="link">${texts[another]}</button>`)}`,
  };
}

/** Where messages go to, and whether there is an app. */
export interface Channels {
  readonly sms: string | undefined;
  readonly email: string | undefined;
  readonly totp: boolean;
}

/** Enough of it to be recognised by its owner: whoever has shown one factor need not know the other. */
function hinted(target: string): string {
  const at = target.lastIndexOf("@");
  return at < 0 ? `••• ${target.slice(-2)}` : `${target.slice(0, 1)}•••${target.slice(at)}`;
}

export function factorView(context: Context, channels: Channels): View {
  const { texts, request } = context;
  const { oob_channel, again, problem } = request.progress;
  const waiting = oob_channel !== undefined || channels.totp;
  const target = oob_channel && channels[oob_channel];
  const notice = oob_channel !== undefined && again && problem === undefined;
  const good = target !== undefined && problem === "too_many_requests" && texts.code_still_good;
  const label = oob_channel === "sms" ? texts.by_sms : oob_channel === "email" ? texts.by_email : texts.by_app;
  const offer = (channel: "app" | "sms" | "email", text: string) =>
    form(
      context,
      "challenge",
      html`<input type="hidden" name="channel" value="${channel}"><button class="${waiting ? "other" : "main"}">${text}</button>`,
    );
  return {
    title: texts.second_factor,
    body: html`<p class="quiet">${texts.second_factor_intro}</p>
${target && html`<p>${texts.code_coming(hinted(target))}</p>`}
${notice && html`<p role="status" id="notice">${texts.resent}</p>`}${problemOf(context, { too_many_attempts: "too_many_wrong_codes", invalid_request: "invalid_grant" }, problem, good)}
${
  waiting &&
  form(
    context,
    "factor",
    html`<label for="code">${label}</label>
<input id="code" name="code" class="code" type="text" inputmode="numeric" autocomplete="one-time-code" required maxlength="16"${described(context, isOfCode, ...(notice ? ["notice"] : []))} autofocus>
<button class="main">${texts.go_on}</button>`,
  )
}
${channels.totp && oob_channel !== undefined && offer("app", texts.use_app)}
${channels.sms && offer("sms", oob_channel === "sms" ? texts.resend : texts.send_by_sms)}
${channels.email && offer("email", oob_channel === "email" ? texts.resend : texts.send_by_email)}
${form(context, "restart", html`<button class="link">${texts.not_you}</button>`)}`,
  };
}

/** Where nobody knows which app is answered: that one is, for whoever did not begin this themselves. */
function appNotice({ texts, client, request: { parameters } }: Context): Html | false {
  const app = texts.app(callbackHost(parameters.redirect_uri));
  return isAnybodys(client, parameters) && html`<p>${texts.consent_at(app)} ${texts.begun_yourself}</p>`;
}

const who = (context: Context, person: KnownPerson) =>
  html`<div class="who"><span>${labelOf(context, person)}</span>${form(context, "another", html`<button class="link">${context.texts.not_you}</button>`)}</div>`;

export function chooseView(context: Context, people: readonly KnownPerson[]): View {
  const { texts, account, client, request } = context;
  const labels = labelsOf(context, people);
  return {
    title: isAnybodys(client, request.parameters) ? texts.login(nameOf(account, client)) : texts.choose,
    body: html`${appNotice(context)}${people.map(({ session }, index) =>
      form(
        context,
        "choose",
        html`<input type="hidden" name="session" value="${session.id}"><button class="other">${labels[index]}</button>`,
      ),
    )}
${form(context, "another", html`<button class="link">${texts.another}</button>`)}`,
  };
}

/**
 * A login that was answered, for whoever comes back to it, as by the button for that: its client has forgotten the request,
 * and would be told of an error in a login that went well.
 */
export function answeredView({ texts, request: { parameters } }: Context): View {
  const { protocol, origin, host } = new URL(parameters.redirect_uri);
  const there = html`<a class="button" href="${origin}/" rel="noreferrer">${breakable(host)}</a>`;
  return {
    title: texts.answered,
    body: html`<p>${texts.answered_intro}</p>
${protocol === "https:" && there}`,
  };
}

/** Whether it was answered, and nobody waits for an answer but its person: a device and a page of ours have words of their own. */
export const isAnswered = ({ used_at, parameters }: AuthorizationRequest): boolean =>
  used_at !== null && !parameters.own_page && parameters.device === undefined && !parameters.prompt.includes("none");

/** To whom nothing is given without their own press, though they are logged in. */
export function confirmView(context: Context, person: KnownPerson): View {
  const { texts, account, client } = context;
  const session = html`<input type="hidden" name="session" value="${person.session.id}">`;
  return {
    title: texts.login(nameOf(account, client)),
    body: html`${appNotice(context)}
${who(context, person)}
${form(context, "choose", html`${session}<button class="main">${texts.go_on}</button>`)}
${cancel(context)}`,
  };
}

export function consentView(context: Context, person: KnownPerson): View {
  const { texts, account, client, request } = context;
  const { audience, redirect_uri } = request.parameters;
  const scope = askedScope(request.parameters);
  const home = shownHome(client, request.parameters);
  const from = home === undefined ? texts.unknown_home : texts.comes_from(placeOf(texts, home));
  return {
    title: texts.consent(nameOf(account, client)),
    body: html`${request.progress.problem === "login_changed" && problemOf(context)}${client.origin !== "account" && html`<p class="quiet">${texts.unchecked} ${from}</p>`}${request.parameters.device !== undefined && html`<p class="problem">${texts.device.warning}</p>`}${scopeList(texts, { audience, scope })}
${who(context, person)}
${request.parameters.device === undefined && html`<p class="quiet">${texts.consent_at(placeOf(texts, callbackHost(redirect_uri)))}</p>`}
${form(context, "allow", html`<input type="hidden" name="session" value="${person.session.id}"><button class="main">${texts.allow}</button>`)}
${form(context, "deny", html`<button class="other">${texts.deny}</button>`)}
<p class="quiet">${texts.consent_intro} <a href="login/consents">${texts.consents}</a>.</p>`,
  };
}
