import { expirySweep } from "../../storage/delete-expired.ts";

/** Milliseconds after its expiry: a clock that jumps ahead and is set back makes no code good again. */
const REMEMBERED = 86_400_000;

/**
 * Redeemed authorization codes are remembered for a day longer than they are looked for, and so for longer than their access
 * tokens live (`browser/make-room.ts`).
 */
export const redeemedSweep = expirySweep(
  "redeemed authorization codes",
  { table: "redeemed_authorization_codes", key: ["id"] },
  REMEMBERED,
);
