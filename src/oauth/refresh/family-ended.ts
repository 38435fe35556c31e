import { rowIs } from "../../storage/by-key.ts";

/** SQL: the authorization of that `sid` was ended, whether it had begun a family or not (`endFamilies`). */
export const familyEnded = (account_id: string, sid: string): string =>
  rowIs("refresh_families f", { account_id, id: sid }, "f.revoked_at is not null");
