import { lookUpExternalUser } from "../../authentication/federation/external-user.ts";
import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { urlsOf } from "../../directory/grants/audience.ts";
import { heldNow } from "../../directory/scopes.ts";
import { holdingsOf } from "../../directory/users/account-user.ts";
import type { Documents } from "../../egress/documents.ts";
import type { Bearer } from "../../http/contract.ts";

/** An account user who comes with an ID token of the account's own provider; acts in that account alone. */
export async function externalBearer(
  directory: Directory,
  documents: Documents,
  account: Account,
  id_token: string,
): Promise<Bearer | undefined> {
  const { account_id } = account;
  // Whoever may give the account API a name of any other app (`api_audiences`) may not say who comes here.
  const names = [account_id, ...urlsOf(account_id, directory.public_url)];
  const login = await lookUpExternalUser(directory, documents, account, names, id_token);
  if (!login) return undefined;
  const { user, authenticated_at } = login;
  const { id } = user;
  const scope = ["openid", "profile", "email", ...heldNow(holdingsOf(user).scope)];
  const who = { account_id, subject_type: "user", subject: id, client_id: id, client_uuid: id } as const;
  return { ...who, scope, sid: id, auth_time: authenticated_at, amr: [], external: true };
}
