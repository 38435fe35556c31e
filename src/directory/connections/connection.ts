/**
 * Connections: the ways by which a code reaches a person. Every account has `email` and `sms`.
 */
import { refuseField } from "../../errors.ts";
import type { Client } from "../clients/client.ts";
import type { Directory } from "../directory.ts";
import { selectConnections } from "./store.ts";

export interface Connection {
  readonly account_id: string;
  readonly name: string;
  readonly strategy: "email" | "sms";
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
