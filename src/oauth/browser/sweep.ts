import { expirySweep } from "../../storage/delete-expired.ts";

export const requestSweep = expirySweep("authorization requests", { table: "authorization_requests", key: ["id"] });
