import { recordDeed } from "../../audit/audit.ts";
import { noSuch } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import type { NewUser } from "./create-user.ts";
import { type CustomerNames, type NameParts, namesOf } from "./customer-names.ts";
import { holdByLogin, type LoginAtHand } from "./logins-ended.ts";
import type { EndLogins } from "./remove-user.ts";
import { holdUser, updateCustomer } from "./store.ts";
import type { User } from "./user.ts";

export interface CustomerFields extends CustomerNames {
  /** BCP 47 */
  readonly locale?: string | undefined;
  /** Stores another password or PIN. */
  readonly secrets?: NewUser["within"];
  /** By which the person changes it themselves. */
  readonly login?: LoginAtHand | undefined;
}

/**
 * Sets what the change names and leaves the rest. With another password or PIN the person's logins end.
 *
 * @throws 404 not_found; 401 invalid_token where the login at hand has ended.
 */
export async function changeCustomer(
  directory: Directory,
  { account_id, id, name: before }: User,
  { locale, secrets, login, ...names }: CustomerFields,
  actor: Actor,
  endLogins: EndLogins,
): Promise<User> {
  const user_id = id;
  return directory.storage.write(async (tx) => {
    if (login) await holdByLogin(tx, { account_id, user_id }, login);
    const profile = await holdUser(tx.db, account_id, id);
    if (profile === undefined) throw noSuch("user");
    const milliseconds = directory.storage.now();
    const now = instant(milliseconds);
    const { name, parts } = namesOf(names, { ...(JSON.parse(profile) as NameParts), name: before });
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(parts === undefined ? {} : { profile: JSON.stringify(parts) }),
      ...(locale === undefined ? {} : { locale }),
    };
    const changed = await updateCustomer(tx.db, account_id, id, change, now);
    if (!changed) throw noSuch("user");
    await recordDeed(tx, { account_id, action: "user.changed", entity: id, now, actor });
    if (!secrets) return changed;
    await secrets(tx, { account_id, user_id }, milliseconds);
    await recordDeed(tx, { account_id, action: "password.changed", entity: id, now, actor });
    await endLogins(tx, { account_id, user_id });
    return changed;
  });
}
