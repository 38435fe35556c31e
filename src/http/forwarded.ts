import type { IncomingMessage } from "node:http";

/**
 * Spells `Forwarded` (RFC 7239) as `X-Forwarded-*`, which the framework reads, so that a proxy may send either. Where a
 * request has both, `X-Forwarded-For` counts, without the ports that some proxies write beside the addresses. Whether
 * any of it counts is decided by TRUSTED_PROXIES, later.
 */
export function readForwarded({ headers }: IncomingMessage): void {
  const { forwarded, "x-forwarded-for": given } = headers;
  const hops = given !== undefined ? String(given).split(",").map(withoutPort) : forwarded?.split(",").map(addressOf);
  if (hops) headers["x-forwarded-for"] = hops.join(", ");
}

/** With a port, IPv6 has brackets; without them its last group is none. */
function withoutPort(hop: string): string {
  const [, inner, ipv4] = /^(?:\[([^[\]]+)\](?::\d+)?|([\d.]+):\d+)$/.exec(hop.trim()) ?? [];
  return inner ?? ipv4 ?? hop.trim();
}

/** The `for` of one hop without port and brackets; what is no address stays something that no range contains. */
function addressOf(hop: string): string {
  const pair = hop
    .split(";")
    .map((part) => part.trim())
    .find((part) => /^for=/i.test(part));
  const value = pair?.slice(4).replaceAll('"', "") ?? "unknown";
  const address = /^\[([^\]]+)\]/.exec(value)?.[1] ?? value.replace(/:\d+$/, "");
  return /[[\]]/.test(address) ? "unknown" : address;
}
