/**
 * The addresses of a host that a tenant, a client or a stranger named. The system's lookup (getaddrinfo) occupies one
 * of the two threads in which this process also finds its database and its providers, for as long as that name's own
 * server is silent, whoever gives up meanwhile. So the nameserver is asked over a socket, which ends with the request;
 * and the system only for what the nameserver does not know (search domains, names of the local network), one name at a
 * time.
 *
 * In: a host. Out: its addresses, none of them checked; or an error whose message may be logged.
 */
import { createSocket } from "node:dgram";
import dns from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";

export interface Resolved {
  readonly address: string;
  readonly family: number;
}

/** Milliseconds until the nameserver, or the next one, is asked again. */
const TIMEOUT = 1_500;

/** No such name, or none with an address. */
const UNKNOWN = new Set(["ENOTFOUND", "ENODATA"]);

/** Those first that this machine reaches. @throws when nobody knows the name, or the nameserver is silent. */
export async function findAddresses(host: string, signal: AbortSignal): Promise<readonly Resolved[]> {
  const listed = await readHosts(host);
  if (listed.length > 0) return inOrder(listed);
  const answers = await askNameserver(host, signal);
  const found = answers.flatMap((answer) => (answer.status === "fulfilled" ? answer.value : []));
  if (found.length > 0) return inOrder(found);
  const failures = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason] : []));
  const failure = failures.find(({ code }) => !UNKNOWN.has(code));
  if (failure) throw failure;
  return askSystem(host, signal);
}

/** What /etc/hosts says of a host, which comes before all nameservers. */
async function readHosts(host: string): Promise<readonly string[]> {
  const text = await readFile("/etc/hosts", "utf8").catch(() => "");
  return text.split("\n").flatMap((line) => {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().toLowerCase().split(/\s+/);
    return isIP(address) && names.includes(host) ? [address] : [];
  });
}

async function askNameserver(host: string, signal: AbortSignal): Promise<PromiseSettledResult<string[]>[]> {
  const resolver = new dns.Resolver({ timeout: TIMEOUT, tries: 2 });
  const cancel = () => resolver.cancel();
  signal.addEventListener("abort", cancel);
  try {
    return await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  } finally {
    signal.removeEventListener("abort", cancel);
  }
}

/** IPv6 first where this machine leaves from a public address of it, or cannot leave by IPv4 (RFC 6724 §6). */
async function inOrder(addresses: readonly string[]): Promise<readonly Resolved[]> {
  const found = addresses.map((address) => ({ address, family: isIP(address) }));
  const [four, six] = [4, 6].map((one) => found.filter(({ family }) => family === one)) as [Resolved[], Resolved[]];
  if (!four[0] || !six[0]) return found;
  const [by_four, by_six] = await Promise.all([sourceTo(four[0]), sourceTo(six[0])]);
  const public_six = by_six !== undefined && ipaddr.parse(by_six).range() === "unicast";
  return public_six || by_four === undefined ? [...six, ...four] : [...four, ...six];
}

/** The address that this machine would leave from; nothing is sent. @returns undefined where no route leads there. */
function sourceTo({ address, family }: Resolved): Promise<string | undefined> {
  const socket = createSocket(family === 4 ? "udp4" : "udp6");
  return new Promise<string | undefined>((resolve) => {
    socket.once("error", () => resolve(undefined));
    socket.connect(53, address, (error?: Error) => resolve(error ? undefined : socket.address().address));
  }).finally(() => socket.close());
}

/** When the lookup under way ends. */
let turn: Promise<unknown> = Promise.resolve();

/** Whoever has given up when the turn comes asks nothing. */
function askSystem(host: string, signal: AbortSignal): Promise<readonly Resolved[]> {
  const asked = turn.then(() => {
    signal.throwIfAborted();
    return dns.lookup(host, { all: true });
  });
  turn = asked.catch(() => {});
  return asked;
}
