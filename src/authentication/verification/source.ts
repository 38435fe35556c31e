import ipaddr from "ipaddr.js";
import type { Client } from "../../directory/clients/client.ts";

/**
 * Where the end user is, as far as it can be known: for a client that is called from a server what its header says, else the
 * connection's own address.
 *
 * @returns null when nothing is known: then there is no limit by source.
 */
export function sourceOf({ settings }: Client, end_user_ip: string | undefined, ip: string): string | null {
  const address = settings.called_from === "server" ? end_user_ip?.trim() : ip;
  return address !== undefined && ipaddr.isValid(address) ? address : null;
}
