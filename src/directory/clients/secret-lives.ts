import { rowIs } from "../../storage/by-key.ts";

/** SQL: the secret that a client showed has not ended since; true where it showed none. */
export const secretLives = (account_id: string, client_id: string, secret_id: string, now: string): string =>
  `(${secret_id} = ''
    or ${rowIs("client_secrets s", { account_id, client_id, id: secret_id }, `s.not_after is null or s.not_after > ${now}`)})`;
