/** SQL: the secret that a client showed has not ended since; true where it showed none. */
export const secretLives = (account_id: string, client_id: string, secret_id: string, now: string): string =>
  `(${secret_id} = '' or exists (select 1 from client_secrets s where s.account_id = ${account_id}
    and s.client_id = ${client_id} and s.id = ${secret_id} and (s.not_after is null or s.not_after > ${now})))`;
