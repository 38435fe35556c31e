import { recordDeed } from "../../audit/audit.ts";
import type { LoginChange } from "../../delivery/delivery.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { createUser } from "../../directory/users/create-user.ts";
import { findUser } from "../../directory/users/find-user.ts";
import { holdPerson } from "../../directory/users/hold-user.ts";
import { type EndLogins, removeUserIn } from "../../directory/users/remove-user.ts";
import type { User } from "../../directory/users/user.ts";
import { noSuch, refuseField, unlessRefused } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { forgetGuesses } from "../guesses/guess.ts";
import { tellOfChange } from "../messages/tell-of-change.ts";
import { type Channels, setChannels } from "../mfa/change-factors.ts";
import {
  checkNewPassword,
  deletePassword,
  type HashedPassword,
  hashPassword,
  storePassword,
} from "../passwords/password.ts";
import { channelsFor, channelsSet, type ReadLinks, readLinks } from "./read-links.ts";
import {
  countUsernamesOf,
  deleteUsername,
  freeUsername,
  insertUsername,
  selectUsername,
  selectUsernamesOf,
  updateUsername,
} from "./store.ts";
import { type Link, MOST_NAMES, stableName, type Username, type UsernameMfa } from "./username.ts";

export interface UsernameFields {
  readonly password: Secret;
  readonly links?: readonly Link[] | undefined;
  /** Null switches the second factor off. */
  readonly mfa?: UsernameMfa | null | undefined;
}

export interface NewUsername extends UsernameFields {
  readonly username: string;
  /** Of a user of its own. */
  readonly type: "customer" | "company";
}

function lookUpUsername({ storage }: Directory, account_id: string, username: string) {
  return selectUsername(storage.read, account_id, username);
}

/** As committed. @throws 404 not_found. */
export async function findUsername(directory: Directory, account_id: string, username: string): Promise<Username> {
  const found = await lookUpUsername(directory, account_id, username);
  if (!found) throw noSuch("user");
  return found;
}

/**
 * A name with a password: of a user of its own, or of the customer whom a link names. Their password is this one then,
 * and their logins end; their second factors stay as they are where `mfa` is not named.
 *
 * @throws 400 invalid_request: a name that is taken, or one more than a customer may have, a password that is too short, a
 *   link that cannot be read.
 */
export async function createUsername(
  directory: Directory,
  account: Account,
  { username: typed, type, password, links = [], mfa }: NewUsername,
  actor: Actor,
  endLogins: EndLogins,
): Promise<Username> {
  const { account_id } = account;
  const username = stableName(typed);
  const { storage } = directory;
  checkNewPassword(password, "password", "password");
  const read = await readLinks(links, account);
  const channels = channelsSet(mfa ?? null, read, account);
  if (await lookUpUsername(directory, account_id, typed)) throw taken();
  const hashed = { kind: "password", hash: await hashPassword(account_id, password) } as const;
  const customer = await customerOf(directory, account_id, read);
  const now = storage.now();
  const created_at = instant(now);
  const stamps = { created_at, created_by: actor.id, updated_at: created_at };
  const row = { account_id, id: uuidv7(now), username, links, mfa: mfa ?? null, ...stamps };
  const name = async (tx: Transaction, { user_id }: { readonly user_id: string }) => {
    await freeUsername(tx.db, account_id, username, actor.id, created_at);
    if (!(await insertUsername(tx.db, { ...row, user_id }))) throw taken();
    if (!(await holdPerson(tx, account_id, user_id))) throw unknown();
    if ((await countUsernamesOf(tx.db, account_id, user_id)) > MOST_NAMES) throw tooMany();
    await storePassword(tx, account_id, user_id, hashed, now);
    await forgetGuesses(tx, { account_id, user_id });
    const factors = mfa === undefined ? [] : await setChannels(tx, { account_id, user_id }, channels, now);
    if (customer) await tellOfChange(tx, account, user_id, ["user_name_added", ...factors], now);
    await recordDeed(tx, { account_id, action: "username.created", entity: user_id, now: created_at, actor });
  };
  const named = (user_id: string) => ({ ...row, user_id, deleted_at: null, deleted_by: null });
  if (!customer) {
    const owner = await createUser(directory, account, { type, verified: false, within: name }, actor);
    return named(owner.id);
  }
  const owner = { account_id, user_id: customer.id };
  await storage.write(async (tx) => {
    await name(tx, owner);
    await endLogins(tx, owner);
  });
  return named(customer.id);
}

/** The customer that a link names; undefined where none does. @throws 400 invalid_request when there is no such customer. */
async function customerOf(
  directory: Directory,
  account_id: string,
  { customer_id }: ReadLinks,
): Promise<User | undefined> {
  if (customer_id === undefined) return undefined;
  const user = await findUser(directory, account_id, customer_id).catch(unlessRefused("not_found"));
  if (!user || user.type === "account_user") throw unknown();
  return user;
}

/**
 * A name stays with whom it was made for: a link that says so is kept where it is not named again. @throws 400 invalid_request
 * where another customer is named.
 */
async function keepCustomer(
  directory: Directory,
  account: Account,
  { user_id, links: before }: Username,
  links: readonly Link[] | undefined,
): Promise<readonly Link[] | undefined> {
  if (links === undefined) return undefined;
  const named = await customerOf(directory, account.account_id, await readLinks(links, account));
  if (named === undefined) return [...before.filter(({ rel }) => rel === "customers_user"), ...links];
  if (named.id !== user_id) {
    throw refuseField(
      "links",
      "customer",
      "name another customer: a user name stays with the one that it was made for",
    );
  }
  return links;
}

/**
 * Sets the password, which ends the person's logins, and links and mfa where they are named. Where binding codes go
 * follows from both, so it is read off the row that this change leaves behind: whoever else changes it waits until
 * then. A name without mfa leaves that to the person's others.
 *
 * @throws 400 invalid_request, 404 not_found.
 */
export async function changeUsername(
  directory: Directory,
  account: Account,
  before: Username,
  { password, links, mfa }: UsernameFields,
  actor: Actor,
  endLogins: EndLogins,
): Promise<Username> {
  const { account_id, id, user_id } = before;
  checkNewPassword(password, "password", "password");
  const hashed: HashedPassword = { kind: "password", hash: await hashPassword(account_id, password) };
  const kept = await keepCustomer(directory, account, before, links);
  const now = directory.storage.now();
  const change = { ...(kept === undefined ? {} : { links: kept }), ...(mfa === undefined ? {} : { mfa }) };
  return directory.storage.write(async (tx) => {
    const changed = await updateUsername(tx.db, account_id, id, change, instant(now));
    if (!changed || !(await holdPerson(tx, account_id, user_id))) throw noSuch("user");
    await storePassword(tx, account_id, user_id, hashed, now);
    await forgetGuesses(tx, { account_id, user_id });
    const factors: LoginChange[] = [];
    if (mfa !== undefined || (links !== undefined && changed.mfa !== null)) {
      const channels =
        changed.mfa === null
          ? await channelsOfNames(await selectUsernamesOf(tx.db, account_id, user_id), account)
          : channelsSet(changed.mfa, await readLinks(changed.links, account), account);
      factors.push(...(await setChannels(tx, { account_id, user_id }, channels, now)));
    }
    await tellOfChange(tx, account, user_id, ["password_changed", ...factors], now);
    await record(tx, before, "username.changed", instant(now), actor);
    await endLogins(tx, { account_id, user_id });
    return changed;
  });
}

/** @throws 400 invalid_request when the name is taken, 404 not_found. */
export async function renameUsername(
  directory: Directory,
  before: Username,
  typed: string,
  actor: Actor,
): Promise<Username> {
  const { account_id, id, user_id } = before;
  const username = stableName(typed);
  const account = await findAccount(directory, account_id);
  const now = directory.storage.now();
  const at = instant(now);
  return directory.storage.write(async (tx) => {
    const other = await selectUsername(tx.db, account_id, typed);
    if (other && other.id !== id) throw taken();
    await freeUsername(tx.db, account_id, username, actor.id, at);
    const changed = await updateUsername(tx.db, account_id, id, { username }, at);
    if (!changed || !(await holdPerson(tx, account_id, user_id))) throw noSuch("user");
    await tellOfChange(tx, account, user_id, ["user_name_changed"], now);
    await record(tx, before, "username.renamed", at, actor);
    return changed;
  });
}

/**
 * The name logs nobody in, the person's logins end, and binding codes go where the names that are left say. With the last
 * one goes the password, and a user who was only this name.
 *
 * @throws 400 invalid_request where a number in the links of a name that is left cannot be read any more; 404 not_found.
 */
export async function removeUsername(
  directory: Directory,
  account: Account,
  before: Username,
  actor: Actor,
  endLogins: EndLogins,
): Promise<Username> {
  const { account_id, id, user_id, links } = before;
  const now = directory.storage.now();
  const at = instant(now);
  const user = await findUser(directory, account_id, user_id);
  const known = [user.customer_id, user.email, user.phone_number].some((name) => name !== null);
  const customer = known || links.some(({ rel }) => rel === "customers_user");
  return directory.storage.write(async (tx) => {
    const deleted = await deleteUsername(tx.db, account_id, id, actor.id, at);
    // Of two names that go at once, the second finds itself the last.
    if (!deleted || !(await holdPerson(tx, account_id, user_id))) throw noSuch("user");
    const left = await selectUsernamesOf(tx.db, account_id, user_id);
    if (left.length === 0) await deletePassword(tx, account_id, user_id);
    const factors =
      deleted.mfa === null
        ? []
        : await setChannels(tx, { account_id, user_id }, await channelsOfNames(left, account), now);
    await tellOfChange(tx, account, user_id, ["user_name_removed", ...factors], now);
    if (left.length === 0 && !customer) await removeUserIn(tx, directory, user, actor, at, endLogins);
    else await endLogins(tx, { account_id, user_id });
    await record(tx, before, "username.deleted", at, actor);
    return deleted;
  });
}

/** Where binding codes go by the last of these names that says so. @throws 400 invalid_request as `channelsFor`. */
async function channelsOfNames(names: readonly Username[], account: Account): Promise<Channels> {
  const last = names.findLast(({ mfa }) => mfa !== null);
  return last ? channelsFor(last.mfa, await readLinks(last.links, account), account) : {};
}

function record(tx: Transaction, { account_id, user_id }: Username, action: string, now: string, actor: Actor) {
  return recordDeed(tx, { account_id, action, entity: user_id, now, actor });
}

const taken = () => refuseField("username", "taken", "is taken");
const tooMany = () =>
  refuseField("links", "limit", `name a customer with ${MOST_NAMES} user names already: delete one`);
const unknown = () => refuseField("links", "unknown", "name no customer of this account");
