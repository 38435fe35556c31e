import { noSuch, refuseField } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import { smallUuid } from "../../secrets/uuid.ts";
import type { Database } from "../../storage/storage.ts";
import type { Account } from "../accounts/account.ts";
import type { UserType } from "../clients/client.ts";
import type { Directory } from "../directory.ts";
import { checkActsForUser } from "../scopes.ts";
import type { NameParts } from "./customer-names.ts";
import { readEmail, readPhone } from "./identifier.ts";
import {
  selectAnyUser,
  selectIsId,
  selectProfile,
  selectUser,
  selectUserByCustomerId,
  selectUserByEmail,
  selectUserByVerifiedEmail,
  selectUsersByPhone,
} from "./store.ts";
import type { User } from "./user.ts";

/** By uuid or the account's own customer_id. @throws 404 not_found. */
export async function findUser(directory: Directory, account_id: string, name: string): Promise<User> {
  return found(await lookUpNamed(directory, account_id, name));
}

/**
 * The customer whom a bearer with one of these scopes names, or a person who names themselves, also as their client knows
 * them; nobody else finds account users here.
 *
 * @throws 403 insufficient_scope, alike for others and for nobody; 404 not_found.
 */
export async function findUserFor(
  directory: Directory,
  bearer: Bearer,
  name: string,
  scopes: readonly string[],
): Promise<User> {
  const { account_id, subject, pairwise_subject } = bearer;
  const user = await lookUpNamed(directory, account_id, name === pairwise_subject ? subject : name);
  checkActsForUser(bearer, user?.id, scopes);
  const is_customer = user?.type !== "account_user" || user.id === subject;
  return found(is_customer ? user : undefined);
}

/** A uuid in either case; the account's own name, which may look like one, as it is. */
async function lookUpNamed({ storage }: Directory, account_id: string, name: string): Promise<User | undefined> {
  const { read } = storage;
  return (await selectUser(read, account_id, smallUuid(name))) ?? selectUserByCustomerId(read, account_id, name);
}

function found(user: User | undefined): User {
  if (!user) throw noSuch("user");
  return user;
}

/** The parts of a customer's name, as far as they came as such; also of one who was just deleted. */
export async function lookUpNameParts(
  { storage }: Directory,
  { account_id, id }: Pick<User, "account_id" | "id">,
): Promise<NameParts> {
  return JSON.parse((await selectProfile(storage.read, account_id, id)) ?? "{}") as NameParts;
}

/** Whether it is the uuid of a user, living or deleted: nobody else is called so. */
export function isUserId({ storage }: Directory, account_id: string, name: string): Promise<boolean> {
  return selectIsId(storage.read, account_id, name);
}

/** By uuid, as committed; undefined when there is none. */
export function lookUpUser({ storage }: Directory, account_id: string, id: string): Promise<User | undefined> {
  return selectUser(storage.read, account_id, id);
}

/** By uuid, inside a transaction; undefined when there is none. */
export function lookUpUserIn(db: Database, account_id: string, id: string): Promise<User | undefined> {
  return selectUser(db, account_id, id);
}

/** The live user of a type who has verified a canonical address, inside a transaction. */
export function lookUpUserByVerifiedEmail(db: Database, account_id: string, type: UserType, email_canonical: string) {
  return selectUserByVerifiedEmail(db, account_id, type, email_canonical);
}

/** The live user of a type whose record has a canonical address, whether or not it is theirs. */
export function lookUpUserByEmail(db: Database, account_id: string, type: UserType, email_canonical: string) {
  return selectUserByEmail(db, account_id, type, email_canonical);
}

/** A live user of a type with a number in E.164; there may be several. */
export async function lookUpUserByPhone(db: Database, account_id: string, type: UserType, phone_number: string) {
  const [first] = await selectUsersByPhone(db, account_id, type, phone_number);
  return first;
}

/** Whether another live user of their type has verified a user's number too: neither is found by it. */
export async function isNumberShared({ storage }: Directory, user: User): Promise<boolean> {
  const { account_id, type, phone_number } = user;
  if (phone_number === null) return false;
  return (await selectUsersByPhone(storage.read, account_id, type, phone_number)).length > 1;
}

/** The live user with the account's own name for them. */
export function lookUpUserByCustomerId(db: Database, account_id: string, customer_id: string) {
  return selectUserByCustomerId(db, account_id, customer_id);
}

export interface Wanted {
  readonly types: readonly UserType[];
  readonly email?: string | undefined;
  readonly phone_number?: string | undefined;
}

/** Whether somebody is known by all of these. @throws 400 invalid_request when none is given. */
export async function userExists(directory: Directory, account: Account, wanted: Wanted): Promise<boolean> {
  const { types, email, phone_number } = wanted;
  if (email === undefined && phone_number === undefined) {
    throw refuseField("email", "required", "or phone_number is required");
  }
  return selectAnyUser(directory.storage.read, account.account_id, {
    types,
    email_canonical: email === undefined ? null : readEmail(email),
    phone_number: phone_number === undefined ? null : (await readPhone(phone_number, account.settings.country)).number,
  });
}
