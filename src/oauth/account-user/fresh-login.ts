import { findClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { standsForPeople } from "../../directory/may-hand-on.ts";
import type { AccountUser } from "../../directory/users/account-user.ts";
import { lookUpAccountUser } from "../../directory/users/find-account-user.ts";
import { refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";

/** A password or factor is changed no longer than this after logging in; seconds. */
const FRESH = 300;

/**
 * The account user whose own token this is, issued to a client that belongs to the account itself and logs its users in.
 *
 * @throws 403 insufficient_scope.
 */
export async function findMe(directory: Directory, bearer: Bearer): Promise<AccountUser> {
  const user = await lookUpAccountUser(directory, bearer.account_id, { id: bearer.subject });
  if (!user) throw refuse("insufficient_scope", { message: "This needs an account user's token." });
  // A token that an external login was exchanged for is nobody's client's.
  if (bearer.external || bearer.client_uuid === user.id) return user;
  const { settings } = await findClient(directory, bearer.account_id, bearer.client_uuid);
  if (!standsForPeople(settings))
    throw refuse("insufficient_scope", { message: "This takes a token of a first-party client for account users." });
  return user;
}

/**
 * As `findMe`, and they have just logged in, with their second factor where they have one: they, and not a device that
 * they let in, whose login is as fresh and may be anybody's.
 *
 * @throws 403 insufficient_scope.
 */
export async function findMeFresh(directory: Directory, bearer: Bearer): Promise<AccountUser> {
  const user = await findMe(directory, bearer);
  if (user.profile.authentication_type === "external") {
    throw refuse("insufficient_scope", {
      message: "Passwords and factors of an external user are kept by their provider.",
    });
  }
  if (bearer.by_device)
    throw refuse("insufficient_scope", { message: "A device that was let in changes no password or factor." });
  const age = Math.floor(directory.storage.now() / 1000) - (bearer.auth_time ?? 0);
  if (age > FRESH)
    throw refuse("insufficient_scope", { message: "Log in again first: this takes a login of the last 5 minutes." });
  if (user.second_factor === 1 && !bearer.amr?.includes("mfa")) {
    throw refuse("insufficient_scope", { message: "Log in with your second factor first." });
  }
  return user;
}
