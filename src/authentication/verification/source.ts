import ipaddr from "ipaddr.js";
import type { Client } from "../../directory/clients/client.ts";

/**
 * Where the end user is, as far as it can be known: for a client that is called from a server what its header says, else the
 * connection's own address. IPv6 counts by /64, which one household or attacker has for itself.
 *
 * @returns null when nothing is known: then there is no limit by source.
 */
export function sourceOf({ settings }: Client, end_user_ip: string | undefined, ip: string): string | null {
  const address = settings.called_from === "server" ? end_user_ip?.trim() : ip;
  if (address === undefined || !ipaddr.isValid(address)) return null;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === "ipv4") return parsed.toString();
  return (parsed as ipaddr.IPv6).parts.slice(0, 4).join(":");
}
