import { sql } from "kysely";
import { refuse } from "../errors.ts";
import type { Database } from "../storage/storage.ts";

export interface Concerned {
  readonly account_id: string;
  /** uuids; a client and a grant that are empty are not looked at. */
  readonly client_id: string;
  readonly grant_id: string;
  readonly user_id: string;
}

/** Inside the transaction that lets somebody in: whether client, grant and user live. */
export async function areAlive(
  db: Database,
  { account_id, client_id, grant_id, user_id }: Concerned,
): Promise<boolean> {
  const { rows } = await sql`select 1 from live_users u
    left join live_clients c on c.account_id = u.account_id and c.id = ${client_id}
    left join live_grants g on g.account_id = u.account_id and g.id = ${grant_id} and g.client_id = c.id
    where u.account_id = ${account_id} and u.id = ${user_id}
      and (${client_id} = '' or c.id is not null) and (${grant_id} = '' or g.id is not null)`.execute(db);
  return rows.length > 0;
}

/** @throws 403 unauthorized_client unless `areAlive`. */
export async function checkAlive(db: Database, concerned: Concerned): Promise<void> {
  if (await areAlive(db, concerned)) return;
  throw refuse("unauthorized_client", { message: "The client, its grant or the user is gone." });
}
