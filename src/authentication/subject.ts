/**
 * Where every way of proving who one is ends: a person of this account, when and how it was shown. This wing knows no
 * tokens; `oauth` makes an `Authorization` of it.
 */
import type { Instant } from "../storage/storage.ts";

export interface AuthenticatedSubject {
  readonly user_id: string;
  readonly email?: string | undefined;
  readonly email_verified?: boolean | undefined;
  readonly phone_number?: string | undefined;
  readonly name?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly authenticated_at: number;
  /** RFC 8176: `otp` for mail, `otp sms` for SMS. */
  readonly amr: readonly string[];
  /** Issuer of the other server that vouched for them; absent where they proved it here. */
  readonly provider?: string;
  /** One of the person's second factors is switched on. */
  readonly second_factor: boolean;
  /** The id of the authorization that this proof began; travels as `sid`. */
  readonly authorization_id: string;
  /** Since when the password is theirs that they showed. */
  readonly password_set_at?: Instant | undefined;
}
