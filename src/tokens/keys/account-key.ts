import { randomBytes } from "node:crypto";
import { type SealContext, seal, unseal } from "../../secrets/seal.ts";
import { instant } from "../../storage/storage.ts";
import type { Tokens } from "../tokens.ts";

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
  const known = tokens.account_keys.get(`${account_id} ${name}`);
  if (known) return known;
  const found = (await select(tokens, account_id, name)) ?? (await create(tokens, account_id, name));
  const key = unseal(tokens.master_keys, accountKeyContext(account_id, name), found);
  tokens.account_keys.set(`${account_id} ${name}`, key);
  return key;
}

async function select({ storage }: Tokens, account_id: string, name: string): Promise<Uint8Array | undefined> {
  const row = await storage.read
    .selectFrom("account_keys")
    .select("sealed")
    .where("account_id", "=", account_id)
    .where("name", "=", name)
    .executeTakeFirst();
  return row?.sealed;
}

async function create(tokens: Tokens, account_id: string, name: string): Promise<Uint8Array> {
  const { storage, master_keys } = tokens;
  const sealed = Buffer.from(seal(master_keys, accountKeyContext(account_id, name), randomBytes(32)));
  const row = { account_id, name, sealed, created_at: instant(storage.now()) };
  await storage.write(async ({ db }) => {
    await db
      .insertInto("account_keys")
      .values(row)
      .onConflict((conflict) => conflict.columns(["account_id", "name"]).doNothing())
      .execute();
  });
  const kept = await select(tokens, account_id, name);
  if (!kept) throw new Error(`the key ${name} of ${account_id} is gone`);
  return kept;
}
