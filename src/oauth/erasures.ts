import type { Erasure } from "../storage/erasure.ts";

/** What goes with an erased person. */
export const erasures: readonly Erasure[] = [
  { table: "refresh_families", by: ["user_id"], ids: ["id"] },
  { table: "consents", by: ["user_id"] },
  { table: "authorization_requests", speaking: ["parameters", "progress"] },
  { table: "device_codes", speaking: ["answer"] },
  { table: "signups", speaking: ["email"], ids: ["id"] },
];
