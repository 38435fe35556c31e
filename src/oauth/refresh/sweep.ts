import { TOKENS_LIVE } from "../../revocation/revocation.ts";
import { expirySweep } from "../../storage/delete-expired.ts";

/** Families whose time is over, and whose last access token's is. */
export const familySweep = expirySweep("refresh tokens", { table: "refresh_families", key: ["id"] }, TOKENS_LIVE);
