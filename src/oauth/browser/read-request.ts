import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { matchRedirectUri } from "../../directory/clients/callback.ts";
import { type Client, checkMayUse, needsPkce } from "../../directory/clients/client.ts";
import { judgeClient } from "../../directory/judge.ts";
import { type Fault, refuse } from "../../errors.ts";
import { refuseParameters } from "../../http/parameters.ts";
import { acr_values } from "../authorization-for.ts";
import type { Oauth } from "../oauth.ts";
import { readHint, userOfSub } from "../read-hint.ts";
import { lookUpAnyClient } from "../registration/find-current-client.ts";
import { spaceSeparated } from "../space-separated.ts";
import { targetOf } from "../target.ts";
import type { AuthorizationParameters, Prompt, ResponseMode } from "./authorization-request.ts";
import { type ReadClaims, readClaims } from "./read-claims.ts";
import { type AnswerTo, redirecting, refuseRequest } from "./redirected-refusal.ts";
import { openRequestObject } from "./request-object.ts";
import { RawParameters } from "./schema.ts";

export interface ReadRequest {
  readonly account: Account;
  readonly client: Client;
  readonly parameters: AuthorizationParameters;
}

/** A request as it came. */
export interface SentRequest {
  readonly raw: RawParameters;
  /** What is wrong with how its parameters are said. */
  readonly faults?: readonly Fault[];
  /** The address that it came from, for what is counted by it. */
  readonly source: string;
}

/** Parameters on which it hangs whether, where and how a client is told what is wrong. */
const leading: readonly string[] = ["client_id", "redirect_uri", "response_mode", "state", "request", "request_uri"];

/**
 * Understands a request in the order in which it becomes trustworthy: the client, its redirect_uri, and only then everything that
 * can be refused at that address.
 *
 * @throws 400 invalid_request, invalid_request_object, redirect_uri_mismatch and 403 unauthorized_client, which no
 *   browser is redirected for; RedirectedRefusal.
 */
export async function readRequest(oauth: Oauth, account_id: string, sent: SentRequest): Promise<ReadRequest> {
  const { faults = [] } = sent;
  // What is no text came as JSON, and nothing else of it is read.
  const untold = ({ path, code }: Fault) =>
    code === "type" || leading.includes(path) || !Object.hasOwn(RawParameters.properties, path);
  if (faults.some(untold)) throw refuseParameters(faults);
  const { account, client: known } = await findAsking(oauth, account_id, sent);
  const { raw, held, to, answered } = await judgeClient(oauth.directory, known, async (answered) => {
    const { raw, faults: held } = await openRequestObject(oauth, answered, sent.raw);
    return { raw, held, to: answerTo(answered, raw), answered };
  });
  return redirecting(to, () => {
    const all = [...faults, ...held];
    if (all.length > 0) throw refuseParameters(all);
    return judgeClient(oauth.directory, answered, async (client) => {
      const parameters = await understand(oauth, account, client, raw, to);
      return { account, client, parameters };
    });
  });
}

/** Whose request it is. @throws 400 invalid_request; 403 unauthorized_client; as lookUpAnyClient. */
export async function findAsking(oauth: Oauth, account_id: string, { raw: { client_id }, source }: SentRequest) {
  const account = await findAccount(oauth.directory, account_id);
  if (client_id === undefined) throw refuseRequest("client_id is required.");
  const client = await lookUpAnyClient(oauth, account, client_id, source);
  if (!client) throw refuse("unauthorized_client", { message: "There is no such client." });
  return { account, client };
}

/** Where a request is answered. @throws 400 redirect_uri_required, redirect_uri_mismatch. */
export function answerTo(client: Client, raw: RawParameters): AnswerTo {
  const redirect_uri = matchRedirectUri(client, raw.redirect_uri);
  const mode = modeOf(raw.response_mode) ?? "query";
  // Of what would answer with tokens nothing stands in a query (OAuth 2.0 Multiple Response Types §3, §5).
  const asks_tokens = spaceSeparated(raw.response_type).some((one) => one === "token" || one === "id_token");
  const response_mode = asks_tokens && mode === "query" ? "fragment" : mode;
  const unchecked = client.origin === "account" ? undefined : client.id;
  const ui_locales = spaceSeparated(raw.ui_locales);
  return { redirect_uri, response_mode, state: raw.state, unchecked, ui_locales };
}

const modeOf = (mode: string | undefined): ResponseMode | undefined =>
  mode === "query" || mode === "fragment" || mode === "form_post" ? mode : undefined;

async function understand(
  oauth: Oauth,
  account: Account,
  client: Client,
  raw: RawParameters,
  { redirect_uri, response_mode, unchecked }: AnswerTo,
): Promise<AuthorizationParameters> {
  if (raw.response_mode !== undefined && !modeOf(raw.response_mode)) throw refuseRequest("response_mode is unknown.");
  if (raw.response_type !== "code") {
    throw raw.response_type === undefined
      ? refuseRequest("response_type is required.")
      : refuse("unsupported_response_type");
  }
  checkMayUse(client, "authorization_code");
  const asked = [...new Set(spaceSeparated(raw.scope))];
  checkChallenge(client, raw, asked.includes("openid"));
  const target = await targetOf(oauth.directory, client, raw, asked);
  const prompt = promptsOf(raw.prompt);
  const asked_claims = readClaims(raw.claims);
  const hinted = await subjectHinted(oauth, account, raw.id_token_hint, prompt);
  const named = asked_claims.sub && (await userOfSub(oauth, account.account_id, client, asked_claims.sub));
  return {
    redirect_uri,
    redirect_uri_named: raw.redirect_uri !== undefined,
    response_mode,
    state: raw.state,
    unchecked,
    nonce: raw.nonce,
    code_challenge: raw.code_challenge,
    dpop_jkt: keyNamed(raw.dpop_jkt),
    ...target,
    openid: asked.includes("openid"),
    prompt,
    max_age: maxAgeOf(raw.max_age),
    login_hint: hintIn(raw),
    subject_hint: oneSubject(hinted, named),
    ui_locales: spaceSeparated(raw.ui_locales),
    two_factors: asksTwoFactors(raw.acr_values, asked_claims),
    named_acr: asked_claims.named_acr,
    essential_acr: asked_claims.essential_acr,
    claims: asked_claims.claims,
  };
}

/** Characters of a hint that is kept. */
const LONGEST_HINT = 2_048;

/** Nobody is kept from logging in by what was to help them. */
const hintIn = ({ login_hint }: RawParameters) =>
  login_hint !== undefined && login_hint.length <= LONGEST_HINT ? login_hint : undefined;

/** Who is never logged in. */
const NOBODY = "";

/** Whom an ID token means. Nobody can tell of one whose key is gone: it hints at nothing, and is no silent login's (§3.1.2.1). */
async function subjectHinted(
  oauth: Oauth,
  { account_id }: Account,
  id_token_hint: string | undefined,
  prompt: readonly Prompt[],
): Promise<string | undefined> {
  if (id_token_hint === undefined) return undefined;
  const hint = await readHint(oauth, account_id, id_token_hint);
  if (!hint) throw refuseRequest("id_token_hint is not an ID token of this issuer.");
  if (hint !== "key_gone") return hint.user_id;
  return prompt.includes("none") ? NOBODY : undefined;
}

/** Two who are asked for at once are nobody (OpenID Connect Core §3.1.2.2, §5.5.1). */
function oneSubject(hinted: string | undefined, named: string | undefined): string | undefined {
  if (hinted === undefined || named === undefined) return hinted ?? named;
  return hinted === named ? hinted : NOBODY;
}

function keyNamed(dpop_jkt: string | undefined): string | undefined {
  if (dpop_jkt !== undefined && !/^[A-Za-z0-9_-]{43}$/.test(dpop_jkt))
    throw refuseRequest("dpop_jkt must be the SHA-256 thumbprint of a key.");
  return dpop_jkt;
}

/** PKCE: S256 alone. */
function checkChallenge({ settings }: Client, raw: RawParameters, openid: boolean): void {
  const { code_challenge, code_challenge_method } = raw;
  if (code_challenge === undefined) {
    if (code_challenge_method !== undefined)
      throw refuseRequest("code_challenge is required beside code_challenge_method.");
    if (needsPkce(settings, openid)) {
      throw refuseRequest("code_challenge is required for this client (PKCE, S256).");
    }
    return;
  }
  if (code_challenge_method !== "S256") throw refuseRequest("code_challenge_method must be S256.");
  if (!/^[A-Za-z0-9_-]{43}$/.test(code_challenge))
    throw refuseRequest("code_challenge must be 43 base64url characters.");
}

const prompts: readonly Prompt[] = ["none", "login", "consent", "select_account", "create"];

function promptsOf(prompt: string | undefined): readonly Prompt[] {
  const named = spaceSeparated(prompt);
  const known = named.filter((one): one is Prompt => prompts.includes(one as Prompt));
  if (known.length < named.length) throw refuseRequest("prompt is unknown.");
  if (known.includes("none") && known.length > 1) throw refuseRequest("prompt=none stands alone.");
  return known;
}

function maxAgeOf(max_age: string | undefined): number | undefined {
  if (max_age === undefined) return undefined;
  if (!/^\d{1,10}$/.test(max_age)) throw refuseRequest("max_age must be a number of seconds.");
  return Number(max_age);
}

/** What is essential comes before what would do (OpenID Connect Core §5.5.1.1, §3.1.2.1). */
function asksTwoFactors(wished: string | undefined, { acr, essential_acr = [] }: ReadClaims): boolean {
  const [one, two] = acr_values;
  if (essential_acr.includes(two) && !essential_acr.includes(one)) return true;
  return (firstAcr(wished) ?? acr) === two;
}

const firstAcr = (text: string | undefined) =>
  spaceSeparated(text).find((value) => (acr_values as readonly string[]).includes(value));
