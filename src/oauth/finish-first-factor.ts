import type { RequestFacts } from "../audit/audit.ts";
import { requireFactor } from "../authentication/mfa/require-factor.ts";
import type { AuthenticatedSubject } from "../authentication/subject.ts";
import type { Account } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import type { Grant } from "../directory/grants/grant.ts";
import type { Bearer } from "../http/contract.ts";
import { issueForPerson, type PersonTokens } from "./issue-for-person.ts";
import type { Oauth } from "./oauth.ts";
import { NO_MFA, REFRESH_SCOPE } from "./scopes.ts";

/** Who asks for a person's token, from where. */
export interface Caller {
  readonly account: Account;
  readonly bearer: Bearer;
  readonly facts: RequestFacts;
  /** Where the end user is, for this client. */
  readonly source: (client: Client) => string | null;
  readonly now: number;
}

export interface FirstProof {
  readonly client: Client;
  readonly grant: Grant;
  readonly audience: string;
  readonly subject: AuthenticatedSubject;
  /** This kind of login may be refreshed. */
  readonly lasting: boolean;
}

/** What a login over auth/token goes on with after its second factor. */
export interface TokenContinuation {
  readonly kind: "token";
  readonly audience: string;
  readonly lasting: boolean;
}

/** A first factor was right: the second one, where it is asked for, else tokens. @throws 403 mfa_required, access_denied. */
export async function finishFirstFactor(oauth: Oauth, caller: Caller, proof: FirstProof): Promise<PersonTokens> {
  const { account, bearer, now } = caller;
  const { client, grant, audience, subject, lasting } = proof;
  if (!bearer.scope.includes(NO_MFA)) {
    const continuation = (): TokenContinuation => ({ kind: "token", audience, lasting });
    await requireFactor(oauth.directory, { account, client, grant_id: grant.id, subject, continuation, now });
  }
  return issueForPerson(
    oauth,
    { account, client, grant, audience, subject, refresh: lasting && mayRefresh(bearer) },
    now,
  );
}

export const mayRefresh = ({ scope }: Bearer) => scope.includes(REFRESH_SCOPE);
