/**
 * Connections: the ways by which a code reaches a person. Every account has `email` and `sms`.
 */
import { refuseField } from "../../errors.ts";
import type { Instant, Transaction } from "../../storage/storage.ts";
import type { Client } from "../clients/client.ts";
import type { Directory } from "../directory.ts";
import { insertConnection, selectConnections } from "./store.ts";

export interface Connection {
  readonly account_id: string;
  readonly name: string;
  readonly strategy: "email" | "sms";
}

/** Those that a new account has: part of its transaction. */
export async function createConnections({ db }: Transaction, account_id: string, created_at: Instant): Promise<void> {
  for (const strategy of ["email", "sms"] as const)
    await insertConnection(db, { account_id, name: strategy, strategy, created_at });
}

/** A connection that the client may use. @throws 400 invalid_request. */
export async function findConnection(directory: Directory, client: Client, name: string): Promise<Connection> {
  const { account_id, settings } = client;
  const all = await directory.connections.get(account_id, () => selectConnections(directory.storage.read, account_id));
  const connection = all?.find((candidate) => candidate.name === name);
  if (!connection || (settings.connections !== null && !settings.connections.includes(name))) {
    throw refuseField("connection", "unknown", "is no connection of this client");
  }
  return connection;
}
