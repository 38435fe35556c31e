import { isLoopback } from "./callback.ts";
import type { Client } from "./client.ts";

/**
 * The host of a callback, or the scheme of an app's. The port of a loopback address is another at each run, so it is no
 * part of the place (RFC 8252 §7.3).
 */
export function hostOf(address: string): string {
  const url = new URL(address);
  return (isLoopback(url) ? url.hostname : url.host) || url.protocol;
}

/**
 * Where a client that made itself known comes from: all that can be said of it, since its name is what it likes.
 * `callback` is the one that is led to, where that is known.
 */
export function homeOf(
  { client_id, origin, settings }: Pick<Client, "client_id" | "origin" | "settings">,
  callback = settings.callbacks[0],
): string {
  if (origin === "metadata") return new URL(client_id).host;
  return callback === undefined ? client_id : hostOf(callback);
}
