import { randomUUID } from "node:crypto";
import type { Directory } from "../../directory/directory.ts";
import { type Identifier, readIdentifier } from "../../directory/users/identifier.ts";
import { refuseField } from "../../errors.ts";
import { countryOf } from "../messages/recipient.ts";
import { findPerson, identifierDigest } from "./person.ts";
import type { SendRequest } from "./send.ts";
import type { LoginSessionRow } from "./store.ts";
import { boundAudience } from "./verification.ts";

/** Who logs in where, and where a code for them may go; the same for known and unknown people. */
export interface Login {
  readonly session_id: string;
  /** The session was there already. */
  readonly resumed: boolean;
  /** Canonical. */
  readonly audience: string;
  readonly person: string;
  readonly user_id: string | null;
  /** Keyed digest of what the caller named the person by. */
  readonly identifier: string;
  /** What the record held, verified, when the session began; what a sign-up would verify. */
  readonly email: string | null;
  readonly phone_number: string | null;
  /** ISO 3166-1 alpha-2, of phone_number. */
  readonly country: string | null;
  readonly signup: boolean;
  readonly code_id: string | null;
}

/** A new login. @throws 400 invalid_request. */
export async function beginLogin(directory: Directory, request: SendRequest): Promise<Login> {
  const { account, client, user_type, type = user_type, login_session_id, audience, purpose } = request;
  if (type !== user_type) {
    throw refuseField("type", "user_type", `must be ${user_type}, the type of user that the client logs in`);
  }
  const { storage, master_keys } = directory;
  const { account_id } = account;
  const identifier = await identifierOf(request);
  const person = await findPerson(storage.read, master_keys, account_id, user_type, identifier);
  const { user } = person;
  const signup = client.settings.signup && user === null && !person.barred;
  const own = user ?? (signup ? asIdentified(request, identifier) : { email: null, phone_number: null });
  return {
    session_id: login_session_id ?? randomUUID(),
    resumed: false,
    audience: boundAudience(directory, account, audience, purpose),
    person: person.id,
    user_id: user?.id ?? null,
    identifier: identifierDigest(master_keys, account_id, user_type, identifier),
    email: own.email,
    phone_number: own.phone_number,
    country: own.phone_number === null ? null : await countryOf(own.phone_number, account),
    signup,
    code_id: null,
  };
}

/** What a sign-up may reach is what the caller named, over the connection of that kind alone. */
function asIdentified({ connection }: SendRequest, { type, value }: Identifier) {
  return {
    email: type === "email" && connection.strategy === "email" ? value : null,
    phone_number: type === "phone_number" && connection.strategy === "sms" ? value : null,
  };
}

/** `email` names the person, for SMS too; `phone_number` may, for SMS. */
async function identifierOf({ connection, email, phone_number, account }: SendRequest): Promise<Identifier> {
  const { country } = account.settings;
  if (connection.strategy === "sms" && phone_number !== undefined)
    return readIdentifier("phone_number", phone_number, country);
  if (email === undefined) {
    throw refuseField(
      "email",
      "required",
      connection.strategy === "sms" ? "or phone_number is required" : "is required",
    );
  }
  return readIdentifier("email", email, country);
}

/** A login under way: nothing of it can be changed by asking again. */
export async function resumeLogin({ account }: SendRequest, session: LoginSessionRow): Promise<Login> {
  const { id, audience, person, user_id, identifier, email, phone_number, code_id } = session;
  return {
    session_id: id,
    resumed: true,
    audience,
    person,
    user_id,
    identifier,
    email,
    phone_number,
    country: phone_number === null ? null : await countryOf(phone_number, account),
    signup: false,
    code_id,
  };
}
