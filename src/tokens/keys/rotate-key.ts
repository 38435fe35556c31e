import { LONGEST_LIFETIME } from "../../secrets/longest-token.ts";
import type { SigningAlg } from "../../secrets/signing-alg.ts";
import { deleteExpired } from "../../storage/delete-expired.ts";
import { type Instant, instant, type Storage, type Transaction } from "../../storage/storage.ts";
import type { Tokens } from "../tokens.ts";
import { makeKeyInTurn } from "./key.ts";
import { insertKey, lockAccount, type StoredKey, selectKeys, selectOldKeys, updateRetired } from "./store.ts";

export interface Rotation {
  /** Seconds that the new key is published before it signs. */
  readonly publication_lead: number;
  /** Seconds that the old key verifies after it retired; `LONGEST_LIFETIME` where it is not said. */
  readonly longest_lifetime?: number;
  /** The new key signs at once, and the old one is trusted no longer: for a key that leaked. */
  readonly immediately?: boolean;
  /** Nothing is done where a key has signed only since this instant, or will: another process was quicker. */
  readonly due_before?: Instant;
  /** What is noted of a new key, in its own transaction. */
  readonly within?: (tx: Transaction, kid: string) => Promise<void>;
}

/** @returns the new key's kid, or null when a rotation is under way already, or none is due. `now` in milliseconds. */
export async function rotateKey(
  tokens: Tokens,
  account_id: string,
  alg: SigningAlg,
  rotation: Rotation,
  now: number,
): Promise<string | null> {
  const { publication_lead, longest_lifetime = LONGEST_LIFETIME } = rotation;
  const { immediately = false, due_before, within = async () => {} } = rotation;
  const at = instant(now);
  const active_at = instant(now + (immediately ? 0 : publication_lead * 1000));
  const expires_at = immediately ? at : instant(now + (publication_lead + longest_lifetime) * 1000);
  const times = { created_at: at, active_at, retired_at: null, expires_at: null };
  const isTaken = (key: StoredKey) =>
    key.active_at > at || (due_before !== undefined && key.retired_at === null && key.active_at >= due_before);
  const isUnderWay = (keys: readonly StoredKey[]) =>
    !immediately && keys.some((key) => key.alg === alg && isTaken(key));
  // A key costs a tenth of a second of a core: it is made for whom nobody else has made one.
  if (isUnderWay(await selectKeys(tokens.storage.read, account_id, at))) return null;
  const made = await makeKeyInTurn(tokens, account_id, alg, times);
  const rotated = await tokens.storage.write(async (tx) => {
    const { db } = tx;
    await lockAccount(db, account_id);
    const keys = (await selectKeys(db, account_id, at)).filter((key) => key.alg === alg);
    if (isUnderWay(keys)) return false;
    // The first of an algorithm signs at once: until a later one did, nothing could.
    await insertKey(db, keys.length > 0 ? made : { ...made, active_at: at });
    await updateRetired(db, made, active_at, expires_at);
    await within(tx, made.kid);
    return true;
  });
  tokens.keys.forget(account_id);
  return rotated ? made.kid : null;
}

const AGE = 90 * 86_400_000;
/** Keys that are made at a time: a process that is to stop waits for no more. */
const AT_A_TIME = 10;

/** What is noted of a key that took another's place. */
export type NoteRotated = (
  tx: Transaction,
  replaced: { account_id: string; alg: SigningAlg },
  kid: string,
) => Promise<void>;

/** For the janitor: keys are replaced after 90 days, and removed a day after they stopped verifying. */
export function keySweep(tokens: Tokens, leadOf: (account_id: string) => Promise<number>, note?: NoteRotated) {
  return {
    name: "signing keys",
    async sweep(storage: Storage, batch: number): Promise<number> {
      const now = storage.now();
      const due_before = instant(now - AGE);
      const old = await selectOldKeys(storage.read, due_before, AT_A_TIME);
      for (const replaced of old) {
        const { account_id, alg } = replaced;
        const within = note && ((tx: Transaction, kid: string) => note(tx, replaced, kid));
        const publication_lead = await leadOf(account_id);
        const rotation = { publication_lead, due_before, ...(within ? { within } : {}) };
        await rotateKey(tokens, account_id, alg, rotation, now);
      }
      if (old.length === AT_A_TIME) return batch;
      return deleteExpired(storage, { table: "signing_keys", key: ["kid"] }, instant(now - 86_400_000), batch);
    },
  };
}
