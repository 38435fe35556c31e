import { channelsOf, factorsOf } from "../../authentication/mfa/factors.ts";
import type { PendingLogin } from "../../authentication/mfa/mfa.ts";
import { openLogin } from "../../authentication/mfa/open-login.ts";
import { awaitedCode } from "../../authentication/verification/awaited-code.ts";
import { unlessRefused } from "../../errors.ts";
import type { OpenRequest } from "../../oauth/browser/open-request.ts";
import type { Resumed } from "../../oauth/browser/resume.ts";
import { hostOfProvider, providersOf } from "../../oauth/browser/upstream.ts";
import type { Oauth } from "../../oauth/oauth.ts";
import { secret } from "../../secrets/secret.ts";
import { personOf } from "../person-labels.ts";
import type { Texts } from "../texts/texts.ts";
import { chooseView, codeView, confirmView, consentView, factorView, identifyView, type View } from "./views.ts";

/** The page for where a browser is, which still has something to do. */
export async function viewOf(
  oauth: Oauth,
  texts: Texts,
  { request }: OpenRequest,
  { account, client, next }: Resumed,
): Promise<View> {
  const { directory } = oauth;
  const { account_id } = account;
  const { retry_at } = request.progress;
  const wait = retry_at === undefined ? undefined : (Date.parse(retry_at) - directory.storage.now()) / 1000;
  const context = { texts, request, account, client, wait };
  switch (next.step) {
    case "choose":
      return chooseView(context, await Promise.all(next.sessions.map((one) => personOf(directory, one))));
    case "confirm":
      return confirmView(context, await personOf(directory, next.session));
    case "consent":
      return consentView(context, await personOf(directory, next.session));
    default: {
      const { mfa_token, login_session_id, problem } = request.progress;
      const pending = mfa_token === undefined ? undefined : await pendingIn(oauth, account_id, mfa_token);
      if (pending) {
        const channels = await channelsOf(directory, account, pending);
        const factors = await factorsOf(directory, account, pending.subject, pending.first);
        const totp = factors.some(({ kind }) => kind === "totp");
        return factorView(context, { sms: channels.get("sms"), email: channels.get("email"), totp });
      }
      if (login_session_id !== undefined) {
        const unsent = problem === "too_many_requests";
        const { storage } = directory;
        const good = unsent && (await awaitedCode(storage, account, login_session_id, storage.now())) === "open";
        return codeView(context, good);
      }
      const providers = await providersOf(oauth, { account, client }, request);
      const over = { ...request, progress: { ...request.progress, problem: "verification_code_expired" } };
      return identifyView(
        mfa_token === undefined ? context : { ...context, request: over },
        providers.map((provider) => ({ id: provider.id, host: hostOfProvider(provider) })),
      );
    }
  }
}

/** The login between its two factors; undefined when it is over: then it begins anew, in the same request. */
function pendingIn({ directory }: Oauth, account_id: string, mfa_token: string): Promise<PendingLogin | undefined> {
  return openLogin(directory, account_id, secret(mfa_token), directory.storage.now()).catch(
    unlessRefused("invalid_grant"),
  );
}
