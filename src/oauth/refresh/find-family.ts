import type { Directory } from "../../directory/directory.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { type Family, readRefreshToken } from "./family.ts";
import { selectFamily, selectLiveFamily } from "./store.ts";

/** The family of a refresh token that somebody here made, whatever became of either. */
export async function lookUpFamilyOf(
  directory: Directory,
  account_id: string,
  token: Secret,
): Promise<Family | undefined> {
  const read = readRefreshToken(directory.master_keys, account_id, token);
  return read && selectFamily(directory.storage.read, account_id, read.family_id);
}

/** The family of a refresh token that would be taken now. */
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
