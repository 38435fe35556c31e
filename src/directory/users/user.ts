/**
 * Users: the people of an account. One row with a uuid and a type; (account, type, canonical e-mail) is unique among the
 * living. An address or number is a login identifier only once it is verified: by a code, or by being set by a caller that
 * may administer users.
 */
import type { UserType } from "../clients/client.ts";

export interface User {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  readonly type: UserType;
  /** The account's own name for the user. */
  readonly customer_id: string | null;
  readonly email: string | null;
  readonly email_verified_at: string | null;
  /** E.164 */
  readonly phone_number: string | null;
  readonly phone_verified_at: string | null;
  readonly name: string | null;
  /** BCP 47 */
  readonly locale: string | null;
  /** 1 where a second factor is switched on. */
  readonly second_factor: number;
  readonly created_at: string;
  readonly created_by: string | null;
  readonly updated_at: string;
  readonly deleted_at: string | null;
  readonly deleted_by: string | null;
}
