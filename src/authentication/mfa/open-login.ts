import type { Directory } from "../../directory/directory.ts";
import { type Refusal, refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { openTicket } from "../../secrets/ticket.ts";
import { wasUsed } from "../used-tokens.ts";
import { loginTicket, type PendingLogin } from "./mfa.ts";

/** The login that an mfa_token holds. `now` in milliseconds. @throws 400 invalid_grant when it is over or none of ours. */
export async function openLogin(
  directory: Directory,
  account_id: string,
  mfa_token: Secret,
  now: number,
): Promise<PendingLogin> {
  const pending = openTicket<PendingLogin>(directory.master_keys, loginTicket(account_id), mfa_token);
  if (!pending) throw refuse("invalid_grant", { message: "mfa_token is not valid." });
  if (pending.expires_at <= now) throw refuse("invalid_grant", { message: "mfa_token has expired: log in again." });
  if (await wasUsed(directory.storage.read, account_id, pending.id)) throw spent();
  return pending;
}

export function spent(): Refusal {
  return refuse("invalid_grant", { message: "mfa_token was used, or what it was for is gone: log in again." });
}
