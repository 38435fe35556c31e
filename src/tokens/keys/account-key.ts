import { randomBytes } from "node:crypto";
import { type SealContext, seal, unseal } from "../../secrets/seal.ts";
import { instant } from "../../storage/storage.ts";
import type { Tokens } from "../tokens.ts";
import { insertAccountKey, selectAccountKey } from "./store.ts";

/** What an account key is sealed for. */
export const accountKeyContext = (account_id: string, name: string): SealContext => ({
  account_id,
  purpose: "pairwise",
  subject: `account_keys/${name}`,
});

/**
 * A key that an account keeps for good, whatever becomes of master keys: made when it is first needed, one, whoever asks at the
 * same time on whatever process.
 */
export async function accountKey(tokens: Tokens, account_id: string, name: "pairwise"): Promise<Uint8Array> {
  const key = await tokens.account_keys.get(`${account_id} ${name}`, async () => {
    const found = await selectAccountKey(tokens.storage.read, account_id, name);
    const sealed = found ?? (await create(tokens, account_id, name));
    return unseal(tokens.master_keys, accountKeyContext(account_id, name), sealed);
  });
  if (!key) throw goneKey(account_id, name);
  return key;
}

const goneKey = (account_id: string, name: string) => new Error(`the key ${name} of ${account_id} is gone`);

async function create(tokens: Tokens, account_id: string, name: string): Promise<Uint8Array> {
  const { storage, master_keys } = tokens;
  const sealed = seal(master_keys, accountKeyContext(account_id, name), randomBytes(32));
  const created_at = instant(storage.now());
  await storage.write(({ db }) => insertAccountKey(db, { account_id, name, sealed, created_at }));
  const kept = await selectAccountKey(storage.read, account_id, name);
  if (!kept) throw goneKey(account_id, name);
  return kept;
}
