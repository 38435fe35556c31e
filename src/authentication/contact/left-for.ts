import { canonicalEmail } from "../../directory/users/identifier.ts";
import { refuse } from "../../errors.ts";
import { hasTwo } from "../mfa/factors.ts";
import type { Contact } from "./contact.ts";

/** The user's own address or number until now, where it is another than this, which takes its place. */
export function leftFor(
  { user, field }: Contact,
  to: string,
): { readonly from: string; readonly to: string } | undefined {
  const verified_at = field === "email" ? user.email_verified_at : user.phone_verified_at;
  if (verified_at === null) return undefined;
  const from = canonicalEmail(user[field] ?? "") ?? user[field];
  return from === null || from === to ? undefined : { from, to };
}

/**
 * Whoever has two factors leaves an address or number once they have shown both: or a mailbox would be two factors, since
 * its reader puts their own number beside it, also at a client whose logins skip the second.
 *
 * @throws 403 insufficient_scope.
 */
export function checkLeaves({ account, user, moves_factors }: Contact, left: ReturnType<typeof leftFor>): void {
  if (left && !moves_factors && hasTwo(account, user))
    throw refuse("insufficient_scope", {
      message: "Log in with your second factor first, or have it changed with write:customers.",
    });
}
