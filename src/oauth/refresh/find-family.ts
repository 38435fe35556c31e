import type { Directory } from "../../directory/directory.ts";
import type { Secret } from "../../secrets/secret.ts";
import { inPages } from "../../storage/pages.ts";
import { type Database, type Instant, instant, type Storage } from "../../storage/storage.ts";
import { type Family, readRefreshToken } from "./family.ts";
import { selectAudiencesElsewhere, selectFamiliesAt, selectFamily, selectLiveFamily } from "./store.ts";

/** The family of a refresh token that somebody here made, whatever became of either. */
export async function lookUpFamilyOf(
  directory: Directory,
  account_id: string,
  token: Secret,
): Promise<Family | undefined> {
  const read = readRefreshToken(directory.master_keys, account_id, token);
  return read && selectFamily(directory.storage.read, account_id, read.family_id);
}

/** The family of a refresh token that is its newest, while all whom it concerns live. */
export async function lookUpLiveFamily(
  directory: Directory,
  account_id: string,
  token: Secret,
): Promise<Family | undefined> {
  const read = readRefreshToken(directory.master_keys, account_id, token);
  if (!read) return undefined;
  const { storage } = directory;
  const family = await selectLiveFamily(storage.read, account_id, read.family_id, instant(storage.now()));
  return family?.generation === read.generation ? family : undefined;
}

/** Of lasting logins for something like an account API at another address: for what, and how many, of all accounts. */
export const audiencesOfLogins = (storage: Storage, public_url: string) =>
  selectAudiencesElsewhere(storage.read, public_url, instant(storage.now()));

/** A person's logins at a client. */
export type HeldAt = Pick<Family, "account_id" | "user_id" | "client_id">;

const PAGE = 100;

/** Those with refresh tokens that were not ended: each is an authorization to revoke. */
export async function* pagesOfFamilies(db: Database, held: HeldAt): AsyncGenerator<readonly string[]> {
  const pages = inPages<{ readonly id: string }>(PAGE, (last) =>
    selectFamiliesAt(db, held)
      .where("id", ">", last?.id ?? "")
      .orderBy("id")
      .limit(PAGE)
      .execute(),
  );
  for await (const page of pages) yield page.map(({ id }) => id);
}

/** … that began since. */
export async function familiesSince(db: Database, held: HeldAt, since: Instant): Promise<readonly string[]> {
  const rows = await selectFamiliesAt(db, held).where("created_at", ">=", since).execute();
  return rows.map(({ id }) => id);
}
