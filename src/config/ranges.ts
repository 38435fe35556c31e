/** Ranges of addresses, as TRUSTED_PROXIES and EGRESS_ALLOW have them: CIDRs, or single addresses. */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** The address that a range begins at, and how many of its bits count. */
export type Range = readonly [Address, number];

/** @throws an Error naming the entry. */
export function parseRange(entry: string): Range {
  try {
    // ipaddr.js takes 10 for 0.0.0.10.
    if (!isIP(entry.replace(/\/.*$/, ""))) throw new Error("no address");
    if (entry.includes("/")) return ipaddr.parseCIDR(entry);
    const address = ipaddr.process(entry);
    return [address, address.kind() === "ipv4" ? 32 : 128];
  } catch {
    throw new Error(`${entry} is no address range (CIDR)`);
  }
}

/** An address of one family is in no range of the other. */
export const isWithin = (ranges: readonly Range[], address: Address): boolean =>
  ranges.some(([base, bits]) => base.kind() === address.kind() && address.match([base, bits] as never));
