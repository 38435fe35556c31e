import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { instant } from "../../storage/storage.ts";
import type { AuthorizationParameters } from "./authorization-request.ts";
import { selectConsent, upsertConsent } from "./consent-store.ts";

interface Asking {
  readonly account: Account;
  readonly client: Client;
  readonly user_id: string;
  readonly parameters: AuthorizationParameters;
}

/**
 * Whether this person has to be asked: never for a client of the account's own; otherwise until they agreed to all of these scopes.
 * What they agreed to is never applied silently where anybody on the device may pose as the client (RFC 8252 §8.6).
 */
export async function needsConsent(
  directory: Directory,
  { account, client, user_id, parameters }: Asking,
): Promise<boolean> {
  const { settings } = client;
  if (settings.first_party) return false;
  if (parameters.prompt.includes("consent")) return true;
  const is_public = settings.token_endpoint_auth_method === "none";
  if (is_public && !parameters.redirect_uri.startsWith("https:")) return true;
  const agreed = await selectConsent(directory.storage.read, {
    account_id: account.account_id,
    user_id,
    client_id: client.id,
    audience: parameters.audience ?? "",
  });
  return !agreed || parameters.scope.some((scope) => !agreed.includes(scope));
}

/** The person agreed; remembered with what they agreed to before. */
export async function recordConsent(
  { storage }: Directory,
  { account, client, user_id, parameters }: Asking,
): Promise<void> {
  const key = { account_id: account.account_id, user_id, client_id: client.id, audience: parameters.audience ?? "" };
  await storage.write(async (tx) => {
    const before = (await selectConsent(tx.db, key)) ?? [];
    const scope = [...new Set([...before, ...parameters.scope])];
    await upsertConsent(tx.db, { ...key, scope, granted_at: instant(storage.now()) });
  });
}
