/** SQL: the authorization of that `sid` was ended, whether it had begun a family or not (`endFamilies`). */
export const familyEnded = (account_id: string, sid: string): string =>
  `exists (select 1 from refresh_families f
    where f.account_id = ${account_id} and f.id = ${sid} and f.revoked_at is not null)`;
