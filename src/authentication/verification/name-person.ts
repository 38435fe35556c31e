import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { readIdentifier } from "../../directory/users/identifier.ts";
import { refuseField } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { findPerson, formerPerson } from "./person.ts";
import { selectLoginSession } from "./store.ts";
import { REMEMBERED } from "./verification.ts";

export interface Naming {
  readonly account: Account;
  readonly client: Client;
  /** As the caller named it. */
  readonly audience: string;
  readonly login_session_id?: string | undefined;
  readonly ident_type?: "email" | "phone_number" | "user_id" | undefined;
  readonly ident?: string | undefined;
  readonly now: number;
}

/** Whom a caller says a code was sent to. */
export interface NamedPerson {
  /** Whose guesses are counted; null when the caller says nothing, or nothing that holds. */
  readonly person: string | null;
  /** By which codes may know the same person too, as `formerPerson` says; empty where none can. */
  readonly former: string;
  /** No login session is named that is unknown, another client's, or another person's than `ident`. */
  readonly agrees: boolean;
}

/**
 * Whom a caller says a code was sent to, by `ident` or by login session. A session that has ended names its person
 * for as long as its code is remembered.
 *
 * @throws 400 invalid_request when ident cannot be read or comes alone.
 */
export async function namePerson(directory: Directory, naming: Naming): Promise<NamedPerson> {
  const named = await fromIdent(directory, naming);
  const { login_session_id, account, client, audience, now } = naming;
  if (login_session_id === undefined) return named;
  const { storage, public_url } = directory;
  const ended = instant(now - REMEMBERED);
  const session = await selectLoginSession(storage.read, account.account_id, login_session_id, ended);
  const ours =
    session?.client_id === client.id && session.audience === canonicalAudience(account, public_url, audience);
  if (!session || !ours) return { ...named, agrees: false };
  if (named.person === null) return { ...named, person: session.person };
  return { ...named, agrees: [named.person, named.former].includes(session.person) };
}

async function fromIdent(directory: Directory, naming: Naming): Promise<NamedPerson> {
  const { ident_type, ident, account, client } = naming;
  if (ident_type === undefined && ident === undefined) return { person: null, former: "", agrees: true };
  if (ident_type === undefined) throw refuseField("ident_type", "required", "is required beside ident");
  if (ident === undefined) throw refuseField("ident", "required", "is required beside ident_type");
  const identifier = await readIdentifier(ident_type, ident, account.settings.country, "ident");
  const { storage, master_keys } = directory;
  const { signup, user_type } = client.settings;
  const found = await findPerson(storage.read, master_keys, account.account_id, user_type, identifier);
  // Only codes that may sign somebody up go to who is not known.
  const may_be_new = signup && identifier.type !== "user_id";
  const former = may_be_new ? formerPerson(master_keys, account.account_id, user_type, identifier, found) : "";
  return { person: found.id, former, agrees: true };
}
