/**
 * Where every way of proving who one is ends: a person of this account, when and how it was shown. This wing knows no
 * tokens; `oauth` makes an `Authorization` of it.
 */
import type { User } from "../directory/users/user.ts";
import type { Instant } from "../storage/storage.ts";

export interface AuthenticatedSubject {
  readonly user_id: string;
  readonly email?: string | undefined;
  readonly email_verified?: boolean | undefined;
  readonly phone_number?: string | undefined;
  readonly name?: string | undefined;
  /** Milliseconds since the epoch. */
  readonly authenticated_at: number;
  /** RFC 8176: `otp` for mail, `otp sms` for SMS, also where the same code was mailed. */
  readonly amr: readonly string[];
  /** Issuer of the other server that vouched for them; absent where they proved it here. */
  readonly provider?: string | undefined;
  /** One of the person's second factors is switched on. */
  readonly second_factor: boolean;
  /** The id of the authorization that this proof began; travels as `sid`. */
  readonly authorization_id: string;
  /** When that began, where it was not just now; milliseconds since the epoch. */
  readonly began_at?: number | undefined;
  /** Somebody's device was let in, and may be anybody's. */
  readonly by_device?: true | undefined;
  /** Since when the password is theirs that they showed. */
  readonly password_set_at?: Instant | undefined;
  /** The code that they showed went there as well as by SMS: neither is a second factor beside it. */
  readonly code_sent_over?: "email" | undefined;
  /** The channel over which that password was set by whoever could read it: no second factor beside it. */
  readonly password_set_over?: "email" | undefined;
}

/** What they showed, when, and what it began. */
export type Shown = Pick<
  AuthenticatedSubject,
  | "authenticated_at"
  | "amr"
  | "provider"
  | "authorization_id"
  | "code_sent_over"
  | "password_set_at"
  | "password_set_over"
>;

/** A user who has shown who they are. Written out: every login with a code comes past here. */
export function subjectOf(
  user: Pick<User, "id" | "email" | "email_verified_at" | "name" | "second_factor">,
  shown: Shown,
): AuthenticatedSubject {
  return {
    user_id: user.id,
    email: user.email ?? undefined,
    email_verified: user.email === null ? undefined : user.email_verified_at !== null,
    name: user.name ?? undefined,
    authenticated_at: shown.authenticated_at,
    amr: shown.amr,
    provider: shown.provider,
    second_factor: user.second_factor === 1,
    authorization_id: shown.authorization_id,
    code_sent_over: shown.code_sent_over,
    password_set_at: shown.password_set_at,
    password_set_over: shown.password_set_over,
  };
}
