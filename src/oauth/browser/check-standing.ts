import { matchRedirectUri } from "../../directory/clients/callback.ts";
import { judgeClient } from "../../directory/judge.ts";
import { refuse } from "../../errors.ts";
import type { Oauth } from "../oauth.ts";
import { targetOf } from "../target.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { redirecting } from "./redirected-refusal.ts";
import type { Resumed } from "./resume.ts";

/** Whether a browser may still go there, whatever is the answer. @throws 400 redirect_uri_mismatch. */
export async function checkCallback(
  { directory }: Pick<Oauth, "directory">,
  { client }: Pick<Resumed, "client">,
  { parameters: { redirect_uri, own_page, device } }: Pick<AuthorizationRequest, "parameters">,
): Promise<void> {
  if (own_page || device !== undefined) return;
  await judgeClient(directory, client, (current) => matchRedirectUri(current, redirect_uri));
}

/**
 * Whether a request that was kept would still be taken: while a person logs in, for half an hour at most, its callback
 * may be removed and its grant deleted or narrowed. One that ends at a page of ours has no callback.
 *
 * @throws 400 redirect_uri_mismatch, which no browser is redirected for; RedirectedRefusal.
 */
export async function checkStanding(
  { directory }: Oauth,
  { client }: Pick<Resumed, "client">,
  { parameters }: Pick<AuthorizationRequest, "parameters">,
): Promise<void> {
  const { audience, scope, grant_id, own_page } = parameters;
  if (own_page) return;
  await checkCallback({ directory }, { client }, { parameters });
  if (audience === null) return;
  await redirecting(parameters, () =>
    judgeClient(directory, client, async (current) => {
      const target = await targetOf(directory, current, { audience }, scope);
      if (target.grant_id !== grant_id) throw refuse("invalid_target");
    }),
  );
}
