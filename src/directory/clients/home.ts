import type { Client } from "./client.ts";

/** The host of an address, or the scheme of an app's. */
export function hostOf(address: string): string {
  const { host, protocol } = new URL(address);
  return host || protocol;
}

/**
 * Where a client that made itself known comes from: all that can be said of it, since its name is what it likes.
 * `callback` is the one that is led to, where that is known.
 */
export function homeOf(
  { client_id, origin, settings }: Pick<Client, "client_id" | "origin" | "settings">,
  callback = settings.callbacks[0],
): string {
  if (origin === "metadata") return hostOf(client_id);
  return callback === undefined ? client_id : hostOf(callback);
}
