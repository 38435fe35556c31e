import { stillStands } from "../../directory/users/logins-ended.ts";

/**
 * SQL: a session has not ended with others of its person, whose row is `u`; it goes on with the login that it led to.
 */
export const sessionStands = (s: string, u: string): string =>
  stillStands(
    u,
    `${s}.created_at`,
    (kept) => `exists (select 1 from session_authorizations k
      where k.account_id = ${s}.account_id and k.session_id = ${s}.id and k.sid = ${kept})`,
  );

/** The same, with its person, who lives. */
export const sessionLives = (s: string): string =>
  `exists (select 1 from users u where u.account_id = ${s}.account_id and u.id = ${s}.user_id and u.deleted_at is null
    and ${sessionStands(s, "u")})`;
