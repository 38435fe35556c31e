import { type Deed, recordDeed } from "../audit/audit.ts";
import { isFirstToEnd } from "../revocation/first-to-end.ts";
import { instant } from "../storage/storage.ts";
import type { Directory } from "./directory.ts";

/** An authorization that somebody ends. */
export interface Revoked extends Pick<Deed, "account_id" | "actor" | "facts"> {
  /** `sid` of the login that it is, or is part of. */
  readonly entity: string;
  /** What ends; the login where it is not said. */
  readonly subject?: string;
}

/** What an event says of the use of a code or token that was used before, or is another client's. */
export const by_reuse = { reason: "reuse" };

/**
 * Revokes, with the event that tells of it where it had not ended before: what was used once too often can be shown as
 * often as anybody likes. For what is not part of a larger transaction.
 */
export async function revoke({ storage, revocations }: Directory, { subject, ...revoked }: Revoked): Promise<void> {
  const { account_id, entity } = revoked;
  const ended = subject ?? `sid:${entity}`;
  await storage.write(async (tx) => {
    const now = storage.now();
    const first = await isFirstToEnd(tx.db, account_id, ended, now);
    await revocations.record(tx, account_id, [ended]);
    if (first) await recordDeed(tx, { ...revoked, action: "auth.revoked", now: instant(now) });
  });
}
