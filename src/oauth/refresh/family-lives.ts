import { allLive, clientLives } from "../../directory/lives.ts";

/** SQL: client, holder, grant and user of a family live; `f` is how a body names its row. */
export const familyLives = (f: string): string =>
  `${allLive((column) => `${f}.${column}`)}
    and (${f}.holder_id is null or ${clientLives(`${f}.account_id`, `${f}.holder_id`)})`;
