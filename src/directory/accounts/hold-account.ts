import { noSuch } from "../../errors.ts";
import type { Instant, Transaction } from "../../storage/storage.ts";
import { type HeldAccount, selectForUpdate, updateHeld } from "./store.ts";

/** The account as committed, whose settings nobody else changes until this transaction ends. @throws 404 not_found. */
export async function holdAccount({ db }: Transaction, account_id: string, now: Instant): Promise<HeldAccount> {
  const held = await updateHeld(db, account_id, now);
  if (!held) throw noSuch("account");
  return held;
}

/** Holds it as well, for what is done one after the other and changes nothing of it. */
export function waitForAccount({ db }: Transaction, account_id: string): Promise<void> {
  return selectForUpdate(db, account_id);
}
