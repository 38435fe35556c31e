import { recordDeed } from "../../audit/audit.ts";
import { noSuch } from "../../errors.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { epoch, instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { sameSet } from "../same-set.ts";
import { holdingOfRole } from "../users/account-user.ts";
import { checkHolders } from "../users/check-held.ts";
import { checkLengthsWith } from "../users/check-length.ts";
import type { Role } from "./role.ts";
import { deleteRole, holdRole, insertRole, selectRole, updateRole } from "./store.ts";

export interface RoleFields {
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly scope: readonly string[];
}

export async function createRole(
  { storage }: Directory,
  account_id: string,
  { name = null, description = null, scope }: Partial<Nullable<RoleFields>> & Pick<RoleFields, "scope">,
  actor: Actor,
): Promise<Role> {
  const milliseconds = storage.now();
  const now = instant(milliseconds);
  const id = uuidv7(milliseconds);
  const stamps = { created_at: now, created_by: actor.id, updated_at: now };
  const role = { account_id, id, name, description, scope: [...new Set(scope)], ...stamps };
  await storage.write(async (tx) => {
    await insertRole(tx.db, role);
    await recordDeed(tx, { account_id, action: "role.created", entity: id, now, actor });
  });
  return { ...role, deleted_at: null, deleted_by: null };
}

type Nullable<T> = { [K in keyof T]: T[K] | null };

/**
 * Sets every field. Where that is another scope, tokens that carry the role as it was stop, and the next ones carry it as it
 * is. In its account's turn, or what others give meanwhile would not count.
 *
 * @throws 404 not_found; 400 invalid_request when somebody would hold too much by it.
 */
export async function replaceRole(directory: Directory, role: Role, fields: RoleFields, actor: Actor): Promise<Role> {
  const { account_id, id } = role;
  const milliseconds = directory.storage.now();
  const now = instant(milliseconds);
  const change = {
    name: fields.name ?? null,
    description: fields.description ?? null,
    scope: [...new Set(fields.scope)],
  };
  await checkHolders(directory, role, change.scope);
  await checkLengthsWith(directory, role, change.scope);
  const updated_at = await directory.storage.write(async (tx) => {
    const before = await holdRole(tx.db, account_id, id);
    if (before === undefined) throw noSuch("role");
    const same = sameSet((await selectRole(tx.db, account_id, id))?.scope ?? [], change.scope);
    // Tokens name the role as of this instant, so no two versions of what it gives share one, and a name changes none.
    const after = same ? before : instant(Math.max(milliseconds, epoch(before) + 1));
    await updateRole(tx.db, account_id, id, change, after);
    if (!same) await directory.revocations.record(tx, account_id, [holdingOfRole({ id, updated_at: before })]);
    await recordDeed(tx, { account_id, action: "role.changed", entity: id, now, actor });
    return after;
  });
  return { ...role, ...change, updated_at };
}

/** Nobody holds it from the moment this resolves. @throws 404 not_found. */
export async function removeRole({ storage, revocations }: Directory, role: Role, actor: Actor): Promise<Role> {
  const { account_id, id } = role;
  const now = instant(storage.now());
  return storage.write(async (tx) => {
    const updated_at = await holdRole(tx.db, account_id, id);
    const deleted = await deleteRole(tx.db, account_id, id, actor.id, now);
    if (!deleted || updated_at === undefined) throw noSuch("role");
    await revocations.record(tx, account_id, [holdingOfRole({ id, updated_at })]);
    await recordDeed(tx, { account_id, action: "role.deleted", entity: id, now, actor });
    return deleted;
  });
}
