import type { MasterKeys } from "../../secrets/master-keys.ts";
import type { Secret } from "../../secrets/secret.ts";
import { openTicket, sealTicket } from "../../secrets/ticket.ts";

export interface PasswordTokenOwner {
  readonly account_id: string;
  readonly user_id: string;
}

/** Milliseconds. */
const LIFETIME = 600_000;

const kindOf = (account_id: string) => ({ account_id, purpose: "signup", kind: "previous_password_token/v1" }) as const;

/** Stands for the previous password of somebody whose account has just been made. */
export function mintPasswordToken(keys: MasterKeys, { account_id, user_id }: PasswordTokenOwner, now: number): Secret {
  return sealTicket(keys, kindOf(account_id), { user_id, expires_at: now + LIFETIME });
}

export function matchPasswordToken(
  keys: MasterKeys,
  { account_id, user_id }: PasswordTokenOwner,
  presented: Secret | undefined,
  now: number,
): boolean {
  const token = presented && openTicket<{ user_id: string; expires_at: number }>(keys, kindOf(account_id), presented);
  return token !== undefined && token.user_id === user_id && token.expires_at > now;
}
