import { randomBytes } from "node:crypto";
import { issuerOf } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import { refuse } from "../../errors.ts";
import { refuseParameters } from "../../http/parameters.ts";
import { base64url } from "../../secrets/digest.ts";
import { instant } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { lookUpCurrentClient } from "../registration/find-current-client.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { checkStanding } from "./check-standing.ts";
import { answerTo, findAsking, type ReadRequest, readRequest, type SentRequest } from "./read-request.ts";
import { RedirectedRefusal } from "./redirected-refusal.ts";
import type { RawParameters } from "./schema.ts";
import { insertRequest, selectRequest, updateUsed } from "./store.ts";

/** A browser has so long to log in; milliseconds. */
const BROWSER_LIFETIME = 1_800_000;
/** RFC 9126 §2.2; milliseconds. */
export const PUSHED_LIFETIME = 60_000;
const PUSHED = "urn:ietf:params:oauth:request_uri:";

function newRequest(
  { directory }: Oauth,
  { account, client, parameters }: ReadRequest,
  kind: AuthorizationRequest["kind"],
  browser: Uint8Array | null,
): AuthorizationRequest {
  const now = directory.storage.now();
  return {
    account_id: account.account_id,
    id: base64url(randomBytes(24)),
    client_id: client.id,
    kind,
    kept: false,
    parameters,
    progress: {},
    browser_digest: browser,
    created_at: instant(now),
    expires_at: instant(now + (kind === "pushed" ? PUSHED_LIFETIME : BROWSER_LIFETIME)),
    used_at: null,
  };
}

/** Keeps a request for the pages, or for the browser that will bring its request_uri. */
export async function keepRequest({ directory }: Oauth, request: AuthorizationRequest): Promise<AuthorizationRequest> {
  await directory.storage.write((tx) => insertRequest(tx.db, request));
  return { ...request, kept: true };
}

/** `browser`: the one that it belongs to, where that is known. */
export function storeRequest(
  oauth: Oauth,
  read: ReadRequest,
  kind: AuthorizationRequest["kind"],
  browser: Uint8Array | null = null,
): Promise<AuthorizationRequest> {
  return keepRequest(oauth, newRequest(oauth, read, kind, browser));
}

export const requestUriOf = ({ id }: AuthorizationRequest) => `${PUSHED}${id}`;

/** Whether it names one that was pushed here. */
export const isPushed = ({ request_uri }: RawParameters): boolean => request_uri?.startsWith(PUSHED) === true;

/** Where its browser goes on with it; the pages live in another wing. */
export const loginPageOf = (public_url: string, { account_id, id }: AuthorizationRequest) =>
  `${issuerOf(public_url, account_id)}/login?request=${id}`;

/**
 * The request that a browser brings, by value or pushed before (RFC 9126 §4): a pushed one works once, for its client
 * alone. It is not kept yet: who is logged in already needs no page.
 *
 * @throws as readRequest; 400 invalid_request for a request_uri that is none of ours, which is never fetched: where a
 *   redirect_uri is named beside it, it is told there (OpenID Connect Core §6.2).
 */
export async function beginRequest(oauth: Oauth, account_id: string, sent: SentRequest): Promise<AuthorizationRequest> {
  const { storage } = oauth.directory;
  const { raw, faults = [] } = sent;
  if (raw.request_uri === undefined) {
    const read = await readRequest(oauth, account_id, sent);
    if (read.client.settings.require_pushed_authorization_requests)
      throw new RedirectedRefusal(
        read.parameters,
        "invalid_request",
        "This client pushes its requests: use oauth/par.",
      );
    return newRequest(oauth, read, "browser", null);
  }
  if (faults.length > 0) throw refuseParameters(faults);
  const pushed_here = raw.request_uri.startsWith(PUSHED);
  if (!pushed_here && raw.redirect_uri !== undefined) {
    const { client } = await findAsking(oauth, account_id, sent);
    const said = "request_uri is taken of oauth/par alone.";
    throw new RedirectedRefusal(answerTo(client, raw), "request_uri_not_supported", said);
  }
  const id = pushed_here ? raw.request_uri.slice(PUSHED.length) : "";
  const now = instant(storage.now());
  const pushed = id === "" ? undefined : await selectRequest(storage.read, account_id, id, now);
  const client = pushed && raw.client_id !== undefined && (await sameClient(oauth, pushed, raw.client_id));
  if (pushed?.kind !== "pushed" || !client || !(await storage.write((tx) => updateUsed(tx.db, account_id, id, now)))) {
    throw refuse("invalid_request", {
      message: "request_uri is unknown, was used, has expired or is another client's.",
    });
  }
  const { parameters } = pushed;
  const account = await findAccount(oauth.directory, account_id);
  await checkStanding(oauth, { client }, pushed);
  return newRequest(oauth, { account, client, parameters }, "browser", null);
}

/** The account may have ceased to take it since it pushed, and its document may say something else. */
async function sameClient(oauth: Oauth, { account_id, client_id }: AuthorizationRequest, named: string) {
  const client = await lookUpCurrentClient(oauth, account_id, named);
  return client?.id === client_id ? client : undefined;
}
