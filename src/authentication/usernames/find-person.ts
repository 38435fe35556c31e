import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { canonicalEmail, type Identifier } from "../../directory/users/identifier.ts";
import { findPerson, unknownPerson } from "../verification/person.ts";
import { selectUsername } from "./store.ts";

/**
 * Whom a user name means: a name of the account, else a verified address, of a user of the client's type. Somebody who
 * is not known is a person too, whose guesses are counted like anybody's.
 */
export async function findNamedPerson(
  directory: Directory,
  { account_id }: Account,
  { settings }: Client,
  username: string,
): Promise<string> {
  const { storage, master_keys } = directory;
  const named = await selectUsername(storage.read, account_id, username);
  const owner = named && (await lookUpUser(directory, account_id, named.user_id));
  if (owner?.type === settings.user_type) return owner.id;
  const email = canonicalEmail(username);
  const unknown: Identifier = { type: "user_id", value: `username ${username}` };
  if (email === undefined) return unknownPerson(master_keys, account_id, settings.user_type, unknown);
  const identifier = { type: "email", value: email } as const;
  return (await findPerson(storage.read, master_keys, account_id, settings.user_type, identifier)).id;
}
