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

/** Opened, of all accounts together. */
const MOST_KEPT = 10_000;

/**
 * A key that an account keeps for good, whatever becomes of master keys: made when it is first needed, one, whoever asks at the
 * same time on whatever process.
 */
export async function accountKey(tokens: Tokens, account_id: string, name: "pairwise"): Promise<Uint8Array> {
  const known = tokens.account_keys.get(`${account_id} ${name}`);
  if (known) return known;
  const found = await selectAccountKey(tokens.storage.read, account_id, name);
  const sealed = found ?? (await create(tokens, account_id, name));
  const key = unseal(tokens.master_keys, accountKeyContext(account_id, name), sealed);
  if (tokens.account_keys.size >= MOST_KEPT) tokens.account_keys.clear();
  tokens.account_keys.set(`${account_id} ${name}`, key);
  return key;
}

async function create(tokens: Tokens, account_id: string, name: string): Promise<Uint8Array> {
  const { storage, master_keys } = tokens;
  const sealed = seal(master_keys, accountKeyContext(account_id, name), randomBytes(32));
  const created_at = instant(storage.now());
  await storage.write(({ db }) => insertAccountKey(db, { account_id, name, sealed, created_at }));
  const kept = await selectAccountKey(storage.read, account_id, name);
  if (!kept) throw new Error(`the key ${name} of ${account_id} is gone`);
  return kept;
}
