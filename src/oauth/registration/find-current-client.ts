import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { isDeleted, lookUpClient } from "../../directory/clients/find-client.ts";
import { blame } from "../../egress/documents.ts";
import { refuse } from "../../errors.ts";
import { type Asking, isDocumentAddress, isFresh, isMisdescribed, readAnew } from "./client-document.ts";
import { chargeNewClient } from "./register.ts";
import { findRoom } from "./room.ts";

/**
 * A client by client_id or uuid. One that a document describes (OAuth Client ID Metadata Document) is what its document
 * says: read anew when it is no longer fresh, and known only where the account takes such clients.
 *
 * @throws 400 invalid_client_metadata, invalid_redirect_uri: see `isMisdescribed`; 400 client_unreachable while its
 *   document does not answer.
 */
export async function lookUpCurrentClient(
  oauth: Asking,
  account_id: string,
  name: string,
): Promise<Client | undefined> {
  const { directory } = oauth;
  const client = await lookUpClient(directory, account_id, name);
  if (client?.origin !== "metadata") return client;
  const { settings } = await findAccount(directory, account_id);
  if (!settings.client_id_metadata_documents) return undefined;
  return (await isFresh(directory, client)) ? client : readAnew(oauth, account_id, client.client_id);
}

/**
 * The client of somebody's token, or of a login under way, by client_id or uuid.
 *
 * @throws 403 unauthorized_client also for one whose document says so no more; 400 client_unreachable when it does not answer.
 */
export async function findHoldersClient(oauth: Asking, account_id: string, name: string): Promise<Client> {
  const client = await lookUpCurrentClient(oauth, account_id, name).catch((error: unknown) => {
    throw isMisdescribed(error) ? blame("unauthorized_client", error) : error;
  });
  if (!client) throw refuse("unauthorized_client", { message: "The client is unknown." });
  return client;
}

/**
 * As `lookUpCurrentClient`; who is not known and has the address of a document for a client_id is from now on a client
 * of the account, which it is until nobody uses it for a month, or it gives way to another; one that was deleted stays
 * unknown. It holds no secret, and nothing else at its address is fetched.
 *
 * @throws 400 invalid_client_metadata, invalid_redirect_uri, client_unreachable; 429.
 */
export async function lookUpAnyClient(
  oauth: Asking,
  { account_id, settings }: Account,
  client_id: string,
  source: string,
): Promise<Client | undefined> {
  const known = await lookUpCurrentClient(oauth, account_id, client_id);
  if (known || !settings.client_id_metadata_documents || !isDocumentAddress(client_id)) return known;
  const { directory } = oauth;
  if (await isDeleted(directory, account_id, client_id)) return undefined;
  await chargeNewClient(directory, account_id, source);
  return readAnew(oauth, account_id, client_id, await findRoom(directory, account_id, "metadata"));
}
