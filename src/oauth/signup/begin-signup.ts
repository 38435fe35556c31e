import { recordDeed } from "../../audit/audit.ts";
import { codeDigest, newChallenge, TYPABLE_LENGTH } from "../../authentication/codes/code.ts";
import { enqueueMessage } from "../../authentication/messages/enqueue-message.ts";
import { deedOf } from "../../authentication/occasion.ts";
import { identifierDigest } from "../../authentication/verification/person.ts";
import { type Account, isOwner } from "../../directory/accounts/account.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { readEmail } from "../../directory/users/identifier.ts";
import { refuse } from "../../errors.ts";
import type { Charge } from "../../limits/budgets.ts";
import { spendBudgets } from "../../limits/limits.ts";
import { sourceCharges } from "../../limits/source.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant } from "../../storage/storage.ts";
import type { Caller } from "../caller.ts";
import type { Oauth } from "../oauth.ts";
import { SIGNUP_LIFETIME, type Signup } from "./signup.ts";
import { insertSignup } from "./store.ts";

/**
 * Mails the applicant a code.
 *
 * @throws 400 invalid_request for what is no address; 403 access_denied where the owner does not allow it; 429 too_many_requests.
 */
export async function beginSignup(
  { directory, nudge }: Oauth,
  caller: Caller,
  applicant: Readonly<Record<string, unknown>> & { readonly email: string },
): Promise<Pick<Signup, "id" | "email">> {
  const { account: owner, now } = caller;
  checkOpen(owner);
  const { storage, master_keys } = directory;
  const { account_id, settings, name } = owner;
  const email = readEmail(applicant.email);
  const { challenge, code } = newChallenge(master_keys, { account_id, format: "typable", length: TYPABLE_LENGTH });
  const binding = { account_id, client_id: "", audience: "", person: "" };
  const { format, length, ...parts } = challenge;
  const row: Signup = {
    ...parts,
    id: uuidv7(now),
    email,
    applicant,
    digest: codeDigest(master_keys, master_keys.current, binding, "typable", code),
    created_at: instant(now),
    expires_at: instant(now + SIGNUP_LIFETIME),
    verified_at: null,
    created_account_id: null,
  };
  await chargeSignup(directory, caller, email);
  await storage.write(async (tx) => {
    await insertSignup(tx.db, row);
    const message = {
      account: owner,
      sender: { name, login_uri: null, host: null },
      connection: "email",
      strategy: "email",
    } as const;
    const about = {
      kind: "verification",
      purpose: "account_signup",
      to: email,
      locale: caller.locale() ?? settings.locale,
    } as const;
    await enqueueMessage(tx, { ...message, ...about, code: { ...row, format, length }, now });
    await recordDeed(tx, deedOf(caller, { action: "signup.begun", entity: row.id }));
  });
  nudge();
  return { id: row.id, email };
}

/**
 * By the source first and by the client last, so that a refusal takes nothing of what its other applicants share.
 *
 * @throws 429 too_many_requests.
 */
async function chargeSignup(directory: Directory, caller: Caller, email: string): Promise<void> {
  const { storage, master_keys } = directory;
  const { account, bearer, now } = caller;
  const { account_id, settings } = account;
  const client = await lookUpClient(directory, account_id, bearer.client_uuid);
  const source = client ? caller.source(client) : null;
  const address = identifierDigest(master_keys, account_id, "account_user", { type: "email", value: email });
  const from: readonly Charge[] =
    source === null ? [] : sourceCharges(master_keys, account_id, source, ["send_source", "send_site"]);
  const charges: readonly Charge[] = [
    { account_id, budget: "factor_send", subject: `signup ${address}` },
    // Beside its logins: applicants are strangers, who could use those up.
    {
      account_id,
      budget: "send_client",
      subject: `signup ${bearer.client_uuid}`,
      limit: settings.client_sends_per_minute,
    },
  ];
  await spendBudgets(storage, [...from, ...charges], now);
}

/** Accounts are opened under owners alone: the numbers are theirs. @throws 403 access_denied. */
export function checkOpen({ account_id, settings }: Account): void {
  if (!isOwner(account_id)) throw refuse("access_denied", { message: "Nobody can sign up here: this is no owner." });
  if (!settings.signup)
    throw refuse("access_denied", { message: "Nobody can sign up under this owner: its setting signup is off." });
}
