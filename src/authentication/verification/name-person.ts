import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { type Identifier, readEmail, readPhone } from "../../directory/users/identifier.ts";
import { refuse, refuseField } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { findPerson } from "./person.ts";
import { selectLoginSession } from "./store.ts";

export interface Naming {
  readonly account: Account;
  readonly client: Client;
  readonly audience: string;
  readonly login_session_id?: string | undefined;
  readonly ident_type?: "email" | "phone_number" | "user_id" | undefined;
  readonly ident?: string | undefined;
  readonly now: number;
}

/**
 * Whom a caller says a code was sent to, by `ident` or by login session; null when it says nothing.
 *
 * @throws 400 invalid_request when ident cannot be read or comes alone; 400 invalid_verification_code for a session that is
 *   not live, another client's, or another person's than ident.
 */
export async function namePerson(directory: Directory, naming: Naming): Promise<string | null> {
  const named = await fromIdent(directory, naming);
  const { login_session_id, account, client, audience, now } = naming;
  if (login_session_id === undefined) return named;
  const { storage, public_url } = directory;
  const session = await selectLoginSession(storage.read, account.account_id, login_session_id, instant(now));
  const ours =
    session?.client_id === client.id && session.audience === canonicalAudience(account, public_url, audience);
  if (!session || !ours || (named !== null && named !== session.person)) throw refuse("invalid_verification_code");
  return session.person;
}

async function fromIdent(directory: Directory, naming: Naming): Promise<string | null> {
  const { ident_type, ident, account, client } = naming;
  if (ident_type === undefined && ident === undefined) return null;
  if (ident_type === undefined) throw refuseField("ident_type", "required", "is required beside ident");
  if (ident === undefined) throw refuseField("ident", "required", "is required beside ident_type");
  const identifier = await readIdentifier(ident_type, ident, account.settings.country);
  const { storage, master_keys } = directory;
  return (await findPerson(storage.read, master_keys, account.account_id, client.settings.user_type, identifier)).id;
}

/** @throws 400 invalid_request. */
export async function readIdentifier(type: Identifier["type"], ident: string, country: string): Promise<Identifier> {
  switch (type) {
    case "email":
      return { type, value: readEmail(ident, "ident") };
    case "phone_number":
      return { type, value: (await readPhone(ident, country, "ident")).number };
    case "user_id":
      return { type, value: ident };
  }
}
