import type { Directory } from "../../directory/directory.ts";
import { type Revoked, revoke } from "../../directory/revoke.ts";
import type { PageEnded } from "../../revocation/revocation.ts";
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

/** Families that are looked at together. */
const PAGE = 100;

/** For the revocations: a page of a person's families, of which those end that do not stand by the person's row. */
export async function endOlderFamilies(
  tx: Transaction,
  { account_id, user_id }: Pick<Family, "account_id" | "user_id">,
  after: string,
  now: Instant,
): Promise<PageEnded> {
  const [created_at = "", id = ""] = after.split(" ");
  const looked = await selectWhichEnd(tx.db, { account_id, user_id }, { created_at, id }, PAGE);
  const ended = looked.filter(({ ends }) => ends).map((one) => one.id);
  if (ended.length > 0) await upsertRevoked(tx.db, account_id, ended.toSorted(), now);
  const last = looked.at(-1);
  return { last: last ? `${last.created_at} ${last.id}` : after, all: looked.length < PAGE };
}
