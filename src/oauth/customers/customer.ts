/**
 * Customers who log in with their address or number and a password or PIN, at the addresses that shops and their clients
 * already use. A PIN is only ever good before a second factor.
 */
import { occasionOf } from "../../authentication/occasion.ts";
import { provePassword } from "../../authentication/passwords/prove-password.ts";
import type { AuthenticatedSubject } from "../../authentication/subject.ts";
import { findPerson } from "../../authentication/verification/person.ts";
import type { Client } from "../../directory/clients/client.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import { findGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { type Identifier, readIdentifier } from "../../directory/users/identifier.ts";
import { refuseField } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Caller } from "../caller.ts";
import { checkBound } from "../dpop/check-bound.ts";
import type { Oauth } from "../oauth.ts";

export interface CustomerRequest {
  readonly caller: Caller;
  readonly audience: string;
  readonly type: "customer" | "company";
  readonly ident_type: "email" | "phone_number";
  readonly ident: string;
}

/** The calling client, its grant, and whom it names. */
export interface NamedCustomer {
  readonly client: Client;
  readonly grant: Grant;
  /** The user's uuid, or a name for somebody who is not known. */
  readonly person: string;
  /** What they are named by. */
  readonly named: Identifier;
}

/** @throws 400 invalid_request; 403 unauthorized_client without a grant of type password or any. */
export async function nameCustomer({ directory }: Oauth, request: CustomerRequest): Promise<NamedCustomer> {
  const { caller, audience, type, ident_type, ident } = request;
  const { account, bearer } = caller;
  const client = await findClient(directory, account.account_id, bearer.client_uuid);
  if (type !== client.settings.user_type) {
    const own = client.settings.user_type;
    throw refuseField("type", "user_type", `must be ${own}, the type of user that the client logs in`);
  }
  checkBound(client);
  const grant = await findGrant(directory, account, client, audience, "password");
  const { storage, master_keys } = directory;
  const named = await readIdentifier(ident_type, ident, account.settings.country, "ident");
  const { id: person } = await findPerson(storage.read, master_keys, account.account_id, type, named);
  return { client, grant, person, named };
}

/** @throws 400 invalid_grant, 429 too_many_attempts. */
export function proveCustomer(
  { directory }: Oauth,
  { client, grant, person }: NamedCustomer,
  { caller }: CustomerRequest,
  password: Secret,
  asks_for_factor: boolean,
): Promise<AuthenticatedSubject> {
  const login = { client_id: client.id, grant_id: grant.id, person, password, source: caller.source(client) };
  return provePassword(directory, { ...occasionOf(caller), ...login, asks_for_factor, pin: true });
}
