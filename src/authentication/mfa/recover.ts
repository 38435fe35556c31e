import { randomUUID } from "node:crypto";
import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Identifier } from "../../directory/users/identifier.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Authentication } from "../authentication.ts";
import { identifierDigest } from "../verification/person.ts";
import { type ChallengeRequest, challengeFactor } from "./challenge.ts";
import { MFA_LIFETIME, type PendingLogin } from "./mfa.ts";
import { sealLogin } from "./require-factor.ts";

export interface RecoveryRequest extends Omit<ChallengeRequest, "pending"> {
  readonly account: Account;
  readonly client: Client;
  readonly grant_id: string;
  /** The user's uuid, or a name for somebody who is not known. */
  readonly person: string;
  /** What they are named by. */
  readonly named: Identifier;
  readonly continuation: object;
}

export interface Recovery {
  readonly mfa_token: Secret;
  readonly oob_code: Secret;
}

/**
 * Begins a login without a first factor: two channels are one together. Unknown people, and those who have only one channel,
 * get the same answer, and no message or no second one. @throws 429 too_many_requests.
 */
export async function recoverLogin(authentication: Authentication, request: RecoveryRequest): Promise<Recovery> {
  const { account, client, grant_id, person, named, source, continuation, now } = request;
  const { account_id } = account;
  const { master_keys } = authentication.directory;
  const subject = {
    user_id: person,
    authenticated_at: now,
    amr: [],
    second_factor: true,
    authorization_id: randomUUID(),
  };
  const login = { subject, client_id: client.id, grant_id, continuation, expires_at: now + MFA_LIFETIME };
  const identifier = identifierDigest(master_keys, account_id, client.settings.user_type, named);
  const asker = { identifier, source };
  const pending: PendingLogin = { id: randomUUID(), ...login, first: "nothing", recovery: true, asker };
  const oob_code = await challengeFactor(authentication, { ...request, pending });
  return { oob_code, mfa_token: sealLogin(master_keys, account_id, pending) };
}
