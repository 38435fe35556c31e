import { isLoopback } from "./callback.ts";
import type { Client } from "./client.ts";

/**
 * The host of a callback. An app has none: its address leads to whoever has its scheme, whatever host it names, so that
 * scheme stands for it, with its colon, which no host ends with (RFC 8252 §7.1). The port of a loopback address is
 * another at each run, so it is no part of the place (§7.3).
 */
export function callbackHost(address: string): string {
  const url = new URL(address);
  if (!/^https?:$/.test(url.protocol)) return url.protocol;
  return isLoopback(url) ? url.hostname : url.host;
}

/** Whether what `callbackHost` gave is an app's scheme: it may read like somebody's host, and proves nothing. */
export const isScheme = (host: string): boolean => host.endsWith(":");

/**
 * Where a client that made itself known comes from: all that can be said of it, since its name is what it likes.
 * `callback` is the one that is led to: no other is proved by anything.
 *
 * @returns undefined where nothing is led to, so that nobody knows.
 */
export function homeOf(
  { client_id, origin }: Pick<Client, "client_id" | "origin">,
  callback: string | undefined,
): string | undefined {
  if (origin === "metadata") return new URL(client_id).host;
  return callback === undefined ? undefined : callbackHost(callback);
}
