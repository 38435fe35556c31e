import { withoutNulls } from "../entity.ts";
import type { Role } from "./role.ts";

/** A role on the wire. */
export function roleView({ account_id: _account, ...role }: Role) {
  return { ...withoutNulls(role), scope: [...role.scope] };
}
