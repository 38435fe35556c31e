import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { isSameAudience } from "../../directory/grants/audience.ts";
import { refuse } from "../../errors.ts";

/**
 * What was authorized is for one API: a token for another one is asked for where the person is asked (RFC 8707 §2.2).
 *
 * @throws 400 invalid_target.
 */
export function checkTarget(
  { public_url }: Directory,
  account: Account,
  audience: string,
  wanted: string | undefined,
): void {
  if (wanted === undefined || isSameAudience(account, public_url, wanted, audience)) return;
  throw refuse("invalid_target", { message: "This authorization is for another API." });
}
