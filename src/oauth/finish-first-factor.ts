import type { PendingLogin } from "../authentication/mfa/mfa.ts";
import { passWithOne, requireFactor } from "../authentication/mfa/require-factor.ts";
import type { AuthenticatedSubject } from "../authentication/subject.ts";
import type { Client } from "../directory/clients/client.ts";
import { lookUpClient } from "../directory/clients/find-client.ts";
import type { Directory } from "../directory/directory.ts";
import type { Grant } from "../directory/grants/grant.ts";
import { refuse } from "../errors.ts";
import type { Bearer } from "../http/contract.ts";
import type { Caller } from "./caller.ts";
import { issueForPerson, type PersonTokens } from "./issue-for-person.ts";
import type { Oauth } from "./oauth.ts";
import { NO_MFA, REFRESH_SCOPE } from "./scopes.ts";

export interface FirstProof {
  readonly client: Client;
  readonly grant: Grant;
  readonly audience: string;
  readonly subject: AuthenticatedSubject;
  /** This kind of login may be refreshed. */
  readonly lasting: boolean;
}

/** What a login over auth/token goes on with after its second factor. */
type TokenContinuation = Pick<FirstProof, "audience" | "lasting">;

export const tokenContinuation = ({ audience, lasting }: TokenContinuation) => ({ kind: "token", audience, lasting });

/** @throws 400 invalid_grant for a login that began at auth/authorize. */
export function readContinuation({ continuation }: PendingLogin): TokenContinuation {
  const { kind, audience, lasting } = continuation as TokenContinuation & { readonly kind: string };
  if (kind === "token") return { audience, lasting };
  throw refuse("invalid_grant", { message: "This login began at auth/authorize, and ends there." });
}

/** A first factor was right: the second one, where it is asked for, else tokens. @throws 403 mfa_required, access_denied. */
export async function finishFirstFactor(oauth: Oauth, caller: Caller, proof: FirstProof): Promise<PersonTokens> {
  await askSecondFactor(oauth.directory, caller, proof, () => tokenContinuation(proof));
  return finishLogin(oauth, caller, proof);
}

/**
 * The second factor, where it is asked for and the bearer does not log people in without.
 *
 * @param continuation what the login goes on with after it.
 * @throws 403 mfa_required, access_denied.
 */
export async function askSecondFactor(
  directory: Directory,
  { account, bearer, now }: Caller,
  { client, grant, subject }: Pick<FirstProof, "client" | "grant" | "subject">,
  continuation: () => object,
): Promise<void> {
  if (bearer.scope.includes(NO_MFA)) return passWithOne(directory, account.account_id, subject);
  return requireFactor(directory, { account, client, grant_id: grant.id, subject, continuation, now });
}

/** Tokens of a login that has shown all that is asked of it. @throws 400 invalid_grant where it was ended meanwhile. */
export async function finishLogin(
  oauth: Oauth,
  { account, bearer, now }: Caller,
  { lasting, ...login }: FirstProof,
): Promise<PersonTokens> {
  const holder_id = lasting ? await holderFor(oauth.directory, bearer) : undefined;
  return issueForPerson(oauth, { ...login, account, holder_id }, now);
}

/**
 * The client to which the refresh token of a login is bound: the bearer's, whoever's login it is, where it may have any. A
 * partner's is none of this account and could not use it.
 */
async function holderFor(directory: Directory, bearer: Bearer): Promise<string | undefined> {
  if (!bearer.scope.includes(REFRESH_SCOPE)) return undefined;
  return (await lookUpClient(directory, bearer.account_id, bearer.client_uuid))?.id;
}
