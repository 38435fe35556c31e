import { auditEvent, recordAuditEvent } from "../../audit/audit.ts";
import { instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import type { Account } from "./account.ts";
import { findAccount } from "./find-account.ts";
import type { AccountSettings } from "./settings.ts";
import { selectStoredSettings, updateSettings } from "./store.ts";

/** Sets what the change names and leaves the rest. @throws 400 invalid_request, 404 not_found. */
export async function changeSettings(
  directory: Directory,
  account_id: string,
  change: Partial<AccountSettings>,
  actor: Actor,
): Promise<Account> {
  await findAccount(directory, account_id);
  const now = instant(directory.storage.now());
  await directory.storage.write(async ({ db }) => {
    const stored = await selectStoredSettings(db, account_id);
    await updateSettings(db, account_id, { ...stored, ...change }, now);
    await recordAuditEvent(
      db,
      auditEvent({
        account_id,
        created_at: now,
        action: "account.changed",
        outcome: "success",
        entity: account_id,
        actor: actor.id,
        context: { ...actor.context, changed: Object.keys(change) },
      }),
    );
  });
  directory.accounts.forget(account_id);
  return findAccount(directory, account_id);
}
