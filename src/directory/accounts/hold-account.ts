import { noSuch } from "../../errors.ts";
import type { Instant, Transaction } from "../../storage/storage.ts";
import { type HeldAccount, updateHeld } from "./store.ts";

/** The account as committed, whose settings nobody else changes until this transaction ends. @throws 404 not_found. */
export async function holdAccount({ db }: Transaction, account_id: string, now: Instant): Promise<HeldAccount> {
  const held = await updateHeld(db, account_id, now);
  if (!held) throw noSuch("account");
  return held;
}
