import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { canonicalEmail, type Identifier } from "../../directory/users/identifier.ts";
import { hasPassword } from "../passwords/password.ts";
import { findPerson, unknownPerson } from "../verification/person.ts";
import { selectUsername } from "./store.ts";
import { canonicalName } from "./username.ts";

/**
 * Whom a user name means: a name of the account, else a verified address, of a user of the client's type. A name that is
 * the address of somebody else who has a password means them, or whoever was given it would keep them from their own.
 * Somebody who is not known is a person too, whose guesses are counted like anybody's.
 */
export async function findNamedPerson(
  directory: Directory,
  { account_id }: Account,
  { settings }: Client,
  username: string,
): Promise<string> {
  const { storage, master_keys } = directory;
  const { user_type } = settings;
  const named = await selectUsername(storage.read, account_id, username);
  // Where there is none, nobody is looked for: a stopwatch tells no name by it.
  const owner = await lookUpUser(directory, account_id, named?.user_id ?? "x:");
  const named_id = owner?.type === user_type ? owner.id : undefined;
  const identifier = namedBy(username);
  if (identifier.type !== "email") return named_id ?? unknownPerson(master_keys, account_id, user_type, identifier);
  const { id, user } = await findPerson(storage.read, master_keys, account_id, user_type, identifier);
  if (named_id === undefined) return id;
  return user && (await hasPassword(storage, account_id, id)) ? id : named_id;
}

/** What somebody is named by who is called by a user name. */
export function namedBy(username: string): Identifier {
  const email = canonicalEmail(username);
  return email === undefined
    ? { type: "user_id", value: `username ${canonicalName(username)}` }
    : { type: "email", value: email };
}
