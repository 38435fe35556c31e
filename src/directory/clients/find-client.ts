import { noSuch, refuse } from "../../errors.ts";
import { cacheKey, type Directory } from "../directory.ts";
import type { Client } from "./client.ts";
import { pagesOfClients, selectClient, selectDeleted, selectStaffClient } from "./store.ts";

/** A live client by client_id or uuid, at most 5 s old. @throws 403 unauthorized_client. */
export async function findClient(directory: Directory, account_id: string, name: string): Promise<Client> {
  const client = await lookUpClient(directory, account_id, name);
  if (!client) throw refuse("unauthorized_client", { message: "The client is unknown." });
  return client;
}

export function lookUpClient(directory: Directory, account_id: string, name: string): Promise<Client | undefined> {
  const load = () => selectClient(directory.storage.read, account_id, name);
  return directory.clients.get(cacheKey(account_id, name), load);
}

/** The same, as committed. */
export function readClient({ storage }: Directory, account_id: string, name: string): Promise<Client | undefined> {
  return selectClient(storage.read, account_id, name);
}

/** For who misses something at a client that is known here. Undefined where it is gone, or forgotten already. */
export async function reloadClient(directory: Directory, { account_id, id, client_id }: Client) {
  const reload = (name: string) =>
    directory.clients.reload(cacheKey(account_id, name), () => readClient(directory, account_id, name));
  return (await reload(client_id)) ?? (await reload(id));
}

/** Whether a client_id was a client's that is deleted: it is taken for ever. */
export function isDeleted({ storage }: Directory, account_id: string, client_id: string): Promise<boolean> {
  return selectDeleted(storage.read, account_id, client_id);
}

/** A live client by uuid, as committed. `tells` the uuid to who names it by its client_id. @throws 404 not_found. */
export async function findClientById(
  { storage }: Directory,
  account_id: string,
  id: string,
  tells = false,
): Promise<Client> {
  const client = await selectClient(storage.read, account_id, id);
  if (client?.id === id) return client;
  if (!client || !tells) throw noSuch("client");
  throw refuse("not_found", { message: `A client is asked for by its id, which is ${client.id} here.` });
}

/** In pages. */
export function listClients({ storage }: Directory, account_id: string): AsyncIterable<readonly Client[]> {
  return pagesOfClients(storage.read, account_id);
}

/**
 * The first client of the account's own that logs its account users in, at most 5 s old, and where there is none a second: to look
 * for it reads the settings of all clients, and strangers may ask.
 */
export async function lookUpStaffClient(directory: Directory, account_id: string): Promise<Client | undefined> {
  const load = async () => ({ client: await selectStaffClient(directory.storage.read, account_id) });
  const { staff_clients } = directory;
  // Another process may have made one a moment ago.
  return (await staff_clients.get(account_id, load))?.client ?? (await staff_clients.reload(account_id, load))?.client;
}

export function forgetClient(
  directory: Directory,
  { account_id, id, client_id }: Pick<Client, "account_id" | "id" | "client_id">,
): void {
  directory.clients.forget(cacheKey(account_id, id));
  directory.clients.forget(cacheKey(account_id, client_id));
  directory.staff_clients.forget(account_id);
  directory.secrets.forget(cacheKey(account_id, id));
  directory.grants.forget(cacheKey(account_id, id));
}
