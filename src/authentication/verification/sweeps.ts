import { expirySweep } from "../../storage/delete-expired.ts";
import { REMEMBERED } from "./redeem.ts";

/** Codes are remembered for a day after they expired, sessions are not. */
export const codeSweep = expirySweep("verification codes", { table: "verification_codes", key: "id" }, REMEMBERED);
export const sessionSweep = expirySweep("login sessions", { table: "login_sessions", key: "id" });
