import type { Directory } from "../../directory/directory.ts";
import { type Revoked, revoke } from "../../directory/revoke.ts";
import type { Instant, Transaction } from "../../storage/storage.ts";
import type { Family } from "./family.ts";
import { upsertRevoked } from "./store.ts";

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
