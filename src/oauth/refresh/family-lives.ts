import { allLive, clientLives } from "../../directory/lives.ts";
import { stillStands } from "../../directory/users/logins-ended.ts";
import { rowIs } from "../../storage/by-key.ts";

/**
 * SQL: client, holder, grant and user of a family live, and it did not end with others of theirs; `f` is how a body
 * names its row.
 */
export const familyLives = (f: string): string =>
  `${allLive((column) => `${f}.${column}`)}
    and (${f}.holder_id is null or ${clientLives(`${f}.account_id`, `${f}.holder_id`)})
    and ${rowIs(
      "users u",
      { account_id: `${f}.account_id`, id: `${f}.user_id` },
      stillStands("u", `${f}.created_at`, (sid) => `${sid} = ${f}.id`),
    )}`;
