import { beginSession } from "../../authentication/sessions/begin-session.ts";
import { moveRequests } from "../../authentication/sessions/move-to-cookie.ts";
import { newBrowser } from "../../authentication/sessions/session.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Oauth } from "../oauth.ts";
import { gone, type OpenRequest } from "./open-request.ts";
import { updateProgress } from "./store.ts";

/**
 * Somebody logged in: their session, under a new cookie that the browser's other requests follow; one transaction. Of two
 * logins at once by one cookie the later is over: whoever knew a cookie of before knows nothing of what the earlier proved.
 * `now` in milliseconds: when the request came.
 *
 * @throws 400 invalid_grant when their logins have ended since; 404 not_found when the cookie is the browser's no more.
 */
export async function logBrowserIn(
  { directory: { storage } }: Oauth,
  account: Account,
  { request, browser }: OpenRequest,
  subject: AuthenticatedSubject,
  now: number,
): Promise<Secret> {
  return storage.write(async (tx) => {
    const { cookie, digest } = newBrowser();
    // Before any row of a session, as whoever answers a request does.
    const { account_id } = account;
    await moveRequests(tx.db, { account_id, id: request.id, from: browser, to: digest });
    const cookies = { before: browser, now: digest };
    const session_id = await beginSession(tx, account, subject, cookies, now);
    if (!(await updateProgress(tx.db, request, digest, { session_id, fresh: now }))) throw gone();
    return cookie;
  });
}
