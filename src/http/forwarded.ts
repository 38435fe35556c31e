import type { IncomingMessage } from "node:http";

/**
 * Spells `Forwarded` (RFC 7239) as `X-Forwarded-*`, which the framework reads, so that a proxy may send either. Where a
 * request has both, `X-Forwarded-For` counts. Whether any of it counts is decided by TRUSTED_PROXIES, later.
 */
export function readForwarded({ headers }: IncomingMessage): void {
  const { forwarded } = headers;
  if (forwarded === undefined || headers["x-forwarded-for"] !== undefined) return;
  const hops = forwarded.split(",").map(addressOf);
  headers["x-forwarded-for"] = hops.join(", ");
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
