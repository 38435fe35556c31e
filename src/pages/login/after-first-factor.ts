import { pendingAfter, sealLogin } from "../../authentication/mfa/require-factor.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import { logBrowserIn } from "../../oauth/browser/log-browser-in.ts";
import { type OpenRequest, saveProgress } from "../../oauth/browser/open-request.ts";
import type { Resumed } from "../../oauth/browser/resume.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";

/**
 * A person has shown one factor: they are logged in, or have to show a second one. `now` in milliseconds: when the request
 * came.
 *
 * @returns the browser's new cookie, where they are logged in. @throws 403 access_denied when they have no second factor;
 *   400 invalid_grant when their logins have ended since.
 */
export async function afterFirstFactor(
  oauth: Oauth,
  { opened, resumed }: { readonly opened: OpenRequest; readonly resumed: Resumed },
  subject: AuthenticatedSubject,
  grant_id: string,
  now: number,
): Promise<Secret | undefined> {
  const { account, client } = resumed;
  const { directory } = oauth;
  const continuation = () => ({ kind: "hosted" });
  const pending = await pendingAfter(directory, { account, client, grant_id, subject, continuation, now });
  if (!pending) return logBrowserIn(oauth, account, opened, subject, now);
  const mfa_token = reveal(sealLogin(directory.master_keys, account.account_id, pending));
  await saveProgress(oauth, opened.request, { mfa_token, another: true });
  return undefined;
}
