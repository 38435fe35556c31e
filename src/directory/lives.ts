/**
 * SQL: who lives, as committed, for statements that let somebody in. Each of them names what it was asked in its own
 * way: by a place (`?1`) or by a column with its table (`i.client_id`).
 */
import type { Concerned } from "./check-alive.ts";

export const clientLives = (account_id: string, client_id: string): string =>
  `exists (select 1 from live_clients where account_id = ${account_id} and id = ${client_id})`;

/** An empty grant is not looked at. @param such more conditions that the grant has to meet. */
export const grantLives = (account_id: string, client_id: string, grant_id: string, such = ""): string =>
  `(${grant_id} = '' or exists (select 1 from live_grants
    where account_id = ${account_id} and id = ${grant_id} and client_id = ${client_id} ${such}))`;

export const userLives = (account_id: string, user_id: string): string =>
  `exists (select 1 from live_users where account_id = ${account_id} and id = ${user_id})`;

/** Client, grant and user live. */
export function allLive(named: (column: keyof Concerned) => string): string {
  const [account_id, client_id] = [named("account_id"), named("client_id")];
  return `${clientLives(account_id, client_id)}
    and ${grantLives(account_id, client_id, named("grant_id"))}
    and ${userLives(account_id, named("user_id"))}`;
}
