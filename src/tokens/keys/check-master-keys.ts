import type { MasterKeys } from "../../secrets/master-keys.ts";
import { sealedVersion, VERSION } from "../../secrets/seal.ts";
import { selectSealedUnder } from "../../storage/sealed.ts";
import type { Storage } from "../../storage/storage.ts";

/** A database that holds something under a master key that is missing is noticed at the start, not at the first request. */
export async function checkMasterKeys(storage: Storage, keys: MasterKeys): Promise<void> {
  const used = [...new Set((await selectSealedUnder(storage.read, VERSION)).map(sealedVersion))];
  const missing = used.filter((version) => !keys.versions.includes(version)).toSorted();
  if (missing.length === 0) return;
  const said = missing.length === used.length ? "is not the key that this database was written under" : "lacks a key";
  throw new Error(
    `MASTER_KEY ${said}: ${missing.join(", ")} ${missing.length === 1 ? "is" : "are"} needed, ${keys.versions.join(", ")} configured. Set the old key too, separated by a comma after the new one, until \`latchkey keys reseal\` says that nothing hangs on it.`,
  );
}
