import { loginStands } from "../../directory/users/logins-ended.ts";
import { insertOnce } from "../../storage/insert-once.ts";
import type { Family } from "./family.ts";

/** A family's row; its lists as JSON, its digest in hexadecimal. */
export interface NewFamily
  extends Pick<
    Family,
    | "account_id"
    | "id"
    | "client_id"
    | "holder_id"
    | "user_id"
    | "grant_id"
    | "audience"
    | "auth_time"
    | "generation"
    | "key_version"
    | "dpop_jkt"
    | "session_id"
    | "surface"
    | "provider"
    | "created_at"
    | "idle_expires_at"
    | "expires_at"
  > {
  readonly scope: string;
  readonly amr: string;
  readonly userinfo_claims: string;
  readonly digest: string;
}

/** Begins a family, unless it or all that the person had begun has ended already; says whether it did. */
export const beginStatement = insertOnce<NewFamily>({
  name: "begin_refresh_family",
  source: import.meta.url,
  table: "refresh_families",
  columns: {
    account_id: "text",
    id: "text",
    client_id: "text",
    holder_id: "text",
    user_id: "text",
    grant_id: "text",
    audience: "text",
    scope: "text",
    auth_time: "bigint",
    amr: "text",
    generation: "bigint",
    digest: "bytea",
    key_version: "text",
    userinfo_claims: "text",
    dpop_jkt: "text",
    session_id: "text",
    surface: "text",
    provider: "text",
    created_at: "text",
    idle_expires_at: "text",
    expires_at: "text",
  },
  holding: { table: "users", by: "user_id", such: (user, given) => loginStands(user, given("created_at")) },
});
