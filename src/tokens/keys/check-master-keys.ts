import type { MasterKeys } from "../../secrets/master-keys.ts";
import { sealedVersion } from "../../secrets/seal.ts";
import type { Storage } from "../../storage/storage.ts";
import { selectNewestSealed } from "./store.ts";

/** A database that was sealed under another master key is noticed at the start, not at the first request. */
export async function checkMasterKeys(storage: Storage, keys: MasterKeys): Promise<void> {
  const sealed = await selectNewestSealed(storage.read);
  if (!sealed || keys.versions.includes(sealedVersion(sealed))) return;
  throw new Error(
    "MASTER_KEY is not the key that this database was written under. Set the old key too, separated by a comma after the new one.",
  );
}
