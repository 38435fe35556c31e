/**
 * SQL: who lives, as committed, for statements that let somebody in. Each of them names what it was asked in its own
 * way: by a place (`?1`) or by a column with its table (`i.client_id`).
 */
import { rowIs } from "../storage/by-key.ts";
import type { Concerned } from "./check-alive.ts";

export const clientLives = (account_id: string, client_id: string): string =>
  rowIs("live_clients", { account_id, id: client_id });

/** An empty grant is not looked at. @param such more conditions that the grant has to meet. */
export const grantLives = (account_id: string, client_id: string, grant_id: string, such = ""): string =>
  `(${grant_id} = '' or ${rowIs("live_grants g", { account_id, id: grant_id }, `g.client_id = ${client_id} ${such}`)})`;

export const userLives = (account_id: string, user_id: string): string =>
  rowIs("live_users", { account_id, id: user_id });

/** Client, grant and user live. */
export function allLive(named: (column: keyof Concerned) => string): string {
  const [account_id, client_id] = [named("account_id"), named("client_id")];
  return `${clientLives(account_id, client_id)}
    and ${grantLives(account_id, client_id, named("grant_id"))}
    and ${userLives(account_id, named("user_id"))}`;
}
