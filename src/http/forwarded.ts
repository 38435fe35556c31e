import type { IncomingMessage } from "node:http";
import ipaddr from "ipaddr.js";
import { isWithin, parseRange } from "../config/ranges.ts";

/**
 * Spells `Forwarded` (RFC 7239) as `X-Forwarded-For`, which the framework reads, so that a proxy may send either; without
 * the ports that some proxies write beside the addresses. A proxy that writes one of them passes on what the client
 * wrote into the other, so where a request has both, they count as far as they say the same, from the nearest hop on.
 * Whether any of it counts is decided by `trustOf`, later.
 */
export function readForwarded({ headers }: IncomingMessage): void {
  const given = hopsOf(headers["x-forwarded-for"], withoutPort);
  const spelt = hopsOf(headers.forwarded, addressOf);
  const hops = given && spelt ? commonEnd(given, spelt) : (given ?? spelt);
  if (hops) headers["x-forwarded-for"] = hops.join(", ");
}

/** What the framework asks of each hop: whether it is one of TRUSTED_PROXIES. @throws as `parseRange`. */
export function trustOf(proxies: readonly string[]): false | ((address: string) => boolean) {
  if (proxies.length === 0) return false;
  const ranges = proxies.map(parseRange);
  return (text) => ipaddr.isValid(text) && isWithin(ranges, ipaddr.process(text));
}

/** No chain of proxies is longer; of more than that the nearest count, since whoever is further away may write any number. */
const HOPS = 20;

/** Undefined where there is no such header, or nothing in it. */
function hopsOf(header: string | readonly string[] | undefined, read: (hop: string) => string) {
  const text = String(header ?? "").trim();
  if (text === "") return undefined;
  let from = text.length;
  for (let hop = 0; hop < HOPS && from > 0; hop++) from = text.lastIndexOf(",", from - 1);
  return text
    .slice(from + 1)
    .split(",")
    .map((hop) => read(hop).toLowerCase());
}

function commonEnd(one: readonly string[], other: readonly string[]): readonly string[] {
  let length = 0;
  while (length < one.length && one.at(-1 - length) === other.at(-1 - length)) length++;
  return one.slice(one.length - length);
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
