import { recordDeed } from "../../audit/audit.ts";
import { noSuch } from "../../errors.ts";
import { spendBudget } from "../../limits/limits.ts";
import { instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import type { NewUser } from "./create-user.ts";
import { type CustomerNames, type NameParts, namesOf } from "./customer-names.ts";
import { holdByLogin, type LoginAtHand } from "./logins-ended.ts";
import type { EndLogins } from "./remove-user.ts";
import { type Held, holdUser, selectProfile, updateCustomer } from "./store.ts";
import type { User } from "./user.ts";

export interface CustomerFields extends CustomerNames {
  /** BCP 47 */
  readonly locale?: string | undefined;
  /** Stores another password or PIN. */
  readonly secrets?: NewUser["within"];
  /** By which the person changes it themselves. */
  readonly login?: LoginAtHand | undefined;
}

type Named = Omit<CustomerFields, "secrets" | "login">;

/** What is other than it was; undefined where nothing is. */
function changeOf({ locale, ...names }: Named, { profile, ...before }: Held) {
  const { name, parts } = namesOf(names, { ...(JSON.parse(profile) as NameParts), name: before.name });
  const change = {
    ...(name === undefined ? {} : { name }),
    ...(parts === undefined ? {} : { profile: JSON.stringify(parts) }),
    ...(locale === undefined || locale === before.locale ? {} : { locale }),
  };
  return Object.keys(change).length > 0 ? change : undefined;
}

/**
 * Sets what the change names and leaves the rest; what changes nothing writes nothing. With another password or PIN the
 * person's logins end. A person changes themselves only so often: each writes an audit event.
 *
 * @throws 404 not_found; 401 invalid_token where the login at hand has ended; 429 too_many_requests.
 */
export async function changeCustomer(
  directory: Directory,
  user: User,
  { secrets, login, ...named }: CustomerFields,
  actor: Actor,
  endLogins: EndLogins,
): Promise<User> {
  const { storage } = directory;
  const { account_id, id } = user;
  const user_id = id;
  const profile = (await selectProfile(storage.read, account_id, id)) ?? "{}";
  if (!secrets && !changeOf(named, { ...user, profile })) return user;
  if (login) await spendBudget(storage, { account_id, budget: "own_change", subject: id }, storage.now());
  return storage.write(async (tx) => {
    if (login) await holdByLogin(tx, { account_id, user_id }, login);
    const held = await holdUser(tx.db, account_id, id);
    if (!held) throw noSuch("user");
    const milliseconds = storage.now();
    const now = instant(milliseconds);
    const changed = await updateCustomer(tx.db, account_id, id, changeOf(named, held) ?? {}, now);
    if (!changed) throw noSuch("user");
    await recordDeed(tx, { account_id, action: "user.changed", entity: id, now, actor });
    if (!secrets) return changed;
    await secrets(tx, { account_id, user_id }, milliseconds);
    await recordDeed(tx, { account_id, action: "password.changed", entity: id, now, actor });
    await endLogins(tx, { account_id, user_id });
    return changed;
  });
}
