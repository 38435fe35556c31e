import ipaddr from "ipaddr.js";
import type { Bearer } from "../../http/contract.ts";
import { type Client, isPublic } from "./client.ts";

/**
 * Where the end user is, as far as it can be known: for a client that is called from a server what its header says, else the
 * connection's own address. What a client without a secret or key asks by itself comes from where its people are, whatever is
 * set; not so what another asks for it.
 *
 * @returns null when nothing is known: then there is no limit by source.
 */
export function sourceOf(
  { client_uuid }: Pick<Bearer, "client_uuid">,
  { id, settings }: Client,
  end_user_ip: string | undefined,
  ip: string,
): string | null {
  const by_itself = client_uuid === id && isPublic(settings);
  const by_server = settings.called_from === "server" && !by_itself;
  const address = by_server ? end_user_ip?.trim() : ip;
  return address !== undefined && ipaddr.isValid(address) ? address : null;
}
