import type { Erasure } from "../storage/erasure.ts";

/** Messages to an erased person go, sent or not; what clients are told holds nothing but ids. */
export const erasures: readonly Erasure[] = [{ table: "outbox", speaking: ["payload"], only: "channel <> 'http'" }];
