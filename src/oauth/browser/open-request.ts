import { newBrowser } from "../../authentication/sessions/session.ts";
import { refuse } from "../../errors.ts";
import { sameBytes } from "../../secrets/digest.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import type { AuthorizationRequest, Progress } from "./authorization-request.ts";
import { selectRequest, updateBound, updateProgress, updateProgressAsRead } from "./store.ts";

export interface OpenRequest {
  readonly request: AuthorizationRequest;
  readonly browser: Uint8Array;
  /** A cookie that the browser has to get first. */
  readonly cookie?: Secret | undefined;
}

/**
 * A browser comes back to its request. The first one that does owns it; to every other it does not exist, so that nobody can be
 * led into a login that somebody else has seen, and nobody can look over a shoulder (RFC 9700 §4.7).
 *
 * @throws 404 not_found.
 */
export async function openRequest(
  { directory }: Oauth,
  account_id: string,
  id: string | undefined,
  known: Uint8Array | undefined,
  may_bind: boolean,
): Promise<OpenRequest> {
  const { storage } = directory;
  const request =
    id === undefined ? undefined : await selectRequest(storage.read, account_id, id, instant(storage.now()));
  if (request?.kind !== "browser") throw gone();
  if (request.browser_digest !== null) {
    if (!known || !sameBytes(known, request.browser_digest)) throw gone();
    return { request, browser: known };
  }
  if (!may_bind) throw gone();
  const { cookie, digest: browser } = known ? { cookie: undefined, digest: known } : newBrowser();
  if (!(await storage.write((tx) => updateBound(tx.db, account_id, request.id, browser)))) throw gone();
  return { request: { ...request, browser_digest: browser }, browser, cookie };
}

/** @throws 404 not_found when the request is not this browser's any more: it has logged in by another of its requests. */
export async function saveProgress(
  { directory }: Oauth,
  request: AuthorizationRequest,
  progress: Progress,
): Promise<void> {
  const { browser_digest } = request;
  if (!(await directory.storage.write((tx) => updateProgress(tx.db, request, browser_digest, progress)))) throw gone();
}

/**
 * What was noticed on the way and moves nothing on. Whoever was somewhere else by then, by a second click or in another
 * tab, stays there: what was read before knows nothing of it. @throws as saveProgress.
 */
export async function noteProgress(
  { directory }: Oauth,
  request: AuthorizationRequest,
  progress: Progress,
): Promise<void> {
  await directory.storage.write((tx) => noteProgressIn(tx, request, progress));
}

/** As `noteProgress`, part of a write transaction. @returns whether nobody was somewhere else by then. */
export async function noteProgressIn(
  { db }: Transaction,
  request: AuthorizationRequest,
  progress: Progress,
): Promise<boolean> {
  const noted = await updateProgressAsRead(db, request, request.browser_digest, progress);
  if (noted === undefined) throw gone();
  return noted;
}

export const gone = () =>
  refuse("not_found", {
    message: "This login has expired or was begun in another browser. Go back to the application and begin again.",
  });
