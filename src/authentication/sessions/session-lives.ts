import { stillStands } from "../../directory/users/logins-ended.ts";
import { rowIs } from "../../storage/by-key.ts";

/**
 * SQL: a session has not ended with others of its person, whose row is `u`; it goes on with the login that it led to.
 */
export const sessionStands = (s: string, u: string): string =>
  stillStands(u, `${s}.created_at`, (kept) =>
    rowIs("session_authorizations", { account_id: `${s}.account_id`, session_id: `${s}.id`, sid: kept }),
  );

/** The same, with its person, who lives. */
export const sessionLives = (s: string): string =>
  rowIs(
    "users u",
    { account_id: `${s}.account_id`, id: `${s}.user_id` },
    `u.deleted_at is null and ${sessionStands(s, "u")}`,
  );
