import ipaddr from "ipaddr.js";
import { type Client, isPublic } from "./client.ts";

/**
 * Where the end user is, as far as it can be known: for a client that is called from a server what its header says, else the
 * connection's own address. A client without a secret or key runs where its people are, whatever is set.
 *
 * @returns null when nothing is known: then there is no limit by source.
 */
export function sourceOf({ settings }: Client, end_user_ip: string | undefined, ip: string): string | null {
  const by_server = settings.called_from === "server" && !isPublic(settings);
  const address = by_server ? end_user_ip?.trim() : ip;
  return address !== undefined && ipaddr.isValid(address) ? address : null;
}
