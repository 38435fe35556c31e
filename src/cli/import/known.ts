import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { lookUpUserByCustomerId, lookUpUserByEmail, lookUpUserByPhone } from "../../directory/users/find-user.ts";
import { canonicalEmail, canonicalPhoneNumber } from "../../directory/users/identifier.ts";
import type { User } from "../../directory/users/user.ts";
import { refuseField } from "../../errors.ts";
import type { Plan } from "./plan.ts";

export type PlannedUser = NonNullable<Plan["users"]>[number];
export type PlannedGrant = NonNullable<NonNullable<Plan["clients"]>[number]["grants"]>[number];

/** What a planned person is told from others by; in canonical form, and left out where it cannot be read. */
export interface Identity {
  readonly type: NonNullable<PlannedUser["type"]>;
  readonly email: string | undefined;
  readonly customer_id: string | undefined;
  /** E.164 */
  readonly phone_number: string | undefined;
  /** Known by address or by the account's own name; whoever has neither is known by their number. */
  readonly by_number: boolean;
}

/** `country` completes numbers. */
export async function identityOf(planned: PlannedUser, country: string): Promise<Identity> {
  const { type = "customer", email, customer_id, phone_number } = planned;
  return {
    type,
    email: email === undefined ? undefined : canonicalEmail(email),
    customer_id,
    phone_number: phone_number === undefined ? undefined : (await canonicalPhoneNumber(phone_number, country))?.number,
    by_number: email === undefined && customer_id === undefined,
  };
}

/**
 * The person of the account who is the planned one; undefined when nobody is.
 *
 * @throws 400 invalid_request when the address is one person's and the customer_id another's, or that of another type.
 */
export async function lookUpKnown(
  { storage }: Directory,
  { account_id }: Account,
  { type, email, customer_id, phone_number, by_number }: Identity,
): Promise<User | undefined> {
  const { read } = storage;
  if (by_number)
    return phone_number === undefined ? undefined : lookUpUserByPhone(read, account_id, type, phone_number);
  const addressed = email === undefined ? undefined : await lookUpUserByEmail(read, account_id, type, email);
  const named = customer_id === undefined ? undefined : await lookUpUserByCustomerId(read, account_id, customer_id);
  if (named && named.type !== type)
    throw refuseField("customer_id", "conflict", `is that of the user ${named.id}, of type ${named.type}`);
  if (addressed && named && addressed.id !== named.id) {
    const others = `the user ${named.id}, and email that of ${addressed.id}`;
    throw refuseField("customer_id", "conflict", `is that of ${others}: correct one of them`);
  }
  return addressed ?? named;
}

/** Whether a client holds the planned grant already; a plan has none with a provider, beside which it is made. */
export function isHeld(held: readonly Grant[], { audience, type = "any" }: PlannedGrant): boolean {
  return held.some((grant) => grant.audience === audience && grant.type === type && !grant.oidc);
}
