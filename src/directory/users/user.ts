/**
 * Users: the people of an account. One row with a uuid and a type; (account, type, canonical e-mail) is unique among the
 * living. An address or number is a login identifier only once it is verified.
 */
import type { UserType } from "../clients/client.ts";

export interface User {
  readonly account_id: string;
  /** uuid */
  readonly id: string;
  readonly type: UserType;
  readonly customer_id: string | null;
  readonly email: string | null;
  readonly email_verified_at: string | null;
  /** E.164 */
  readonly phone_number: string | null;
  readonly phone_verified_at: string | null;
  readonly name: string | null;
  /** BCP 47 */
  readonly locale: string | null;
}
