import type { Directory } from "../../directory/directory.ts";
import { type Revoked, revoke } from "../../directory/revoke.ts";
import type { Instant, Transaction } from "../../storage/storage.ts";
import type { Family } from "./family.ts";
import { selectWhichEnd, upsertRevoked } from "./store.ts";

/** Ends a family with every access token of it. */
export const revokeFamily = (
  directory: Directory,
  { account_id, id }: Pick<Family, "account_id" | "id">,
  by: Pick<Revoked, "actor" | "facts">,
): Promise<void> => revoke(directory, { account_id, entity: id, ...by });

/** For the revocations: authorizations that end take their refresh tokens along, and none begins after it. */
export const endFamilies = (
  tx: Transaction,
  account_id: string,
  sids: readonly string[],
  now: Instant,
): Promise<void> => upsertRevoked(tx.db, account_id, sids, now);

/** Families that end together. */
const PAGE = 100;

/** For the revocations: ends some families that do not stand by their person's row. @returns whether it was all. */
export async function endOlderFamilies(
  tx: Transaction,
  { account_id, user_id }: Pick<Family, "account_id" | "user_id">,
  now: Instant,
): Promise<boolean> {
  const ids = await selectWhichEnd(tx.db, { account_id, user_id }, PAGE);
  if (ids.length > 0) await upsertRevoked(tx.db, account_id, ids.toSorted(), now);
  return ids.length < PAGE;
}
