import { beginSession } from "../../authentication/sessions/sessions.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { sameBytes, sha256 } from "../../secrets/digest.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import type { Oauth } from "../oauth.ts";
import type { Progress } from "./authorization-request.ts";
import type { OpenRequest } from "./open-request.ts";
import { rebindRequests, selectBrowser, updateProgress } from "./store.ts";

/**
 * Somebody logged in: their session, under a new cookie that the browser's other requests follow; one transaction. Of two
 * logins at once in one browser the later goes on from the cookie that the earlier gave it. `now` in milliseconds: when
 * the request came.
 *
 * @throws 400 invalid_grant when their logins have ended since.
 */
export async function logBrowserIn(
  { directory: { storage } }: Oauth,
  account: Account,
  { request, browser }: OpenRequest,
  subject: AuthenticatedSubject,
  now: number,
): Promise<Secret> {
  const logIn = (before: Uint8Array) =>
    storage.write(async (tx) => {
      const { session_id, browser: cookie } = await beginSession(tx, storage.engine, account, subject, before, now);
      const digest = sha256(reveal(cookie));
      const progress: Progress = { session_id, fresh: true };
      await rebindRequests(tx.db, account.account_id, before, digest);
      const present = await selectBrowser(tx.db, request);
      if (present && !sameBytes(present, digest)) throw new BrowserChanged(present);
      await updateProgress(tx.db, request, progress, digest);
      return cookie;
    });
  for (let before = browser; ; ) {
    try {
      return await logIn(before);
    } catch (error) {
      if (!(error instanceof BrowserChanged)) throw error;
      before = error.present;
    }
  }
}

/** Another login gave the browser another cookie, which the request has followed. */
class BrowserChanged extends Error {
  readonly present: Uint8Array;

  constructor(present: Uint8Array) {
    super("the browser has another cookie now");
    this.present = present;
  }
}
