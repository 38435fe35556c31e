import type { MasterKeys } from "../../secrets/master-keys.ts";
import { seal, unseal } from "../../secrets/seal.ts";
import type { FactorRow } from "./store.ts";

type Owner = Pick<FactorRow, "account_id" | "user_id">;

export const seedContext = ({ account_id, user_id }: Owner) =>
  ({ account_id, purpose: "seal", subject: `factors/${user_id}` }) as const;

export function sealSeed(keys: MasterKeys, owner: Owner, seed: Uint8Array): Uint8Array {
  return seal(keys, seedContext(owner), seed);
}

/** @throws when the master key that sealed it is not configured. */
export function openSeed(keys: MasterKeys, row: FactorRow): Uint8Array {
  if (row.seed === null) throw new Error("this factor has no seed");
  return unseal(keys, seedContext(row), row.seed);
}
