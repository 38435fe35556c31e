/**
 * Names of hosts as the process of a test finds them: a real nameserver (UDP), and the system's lookup with two places,
 * as many as libuv's pool has for it. Of `x.silent.test` neither ever says anything; `x.inside.test` is 127.0.0.1 for
 * the nameserver, and `x.both.test` is 192.0.2.1 and 2606:4700::1; `x.unknown.test` it does not know, and for the
 * system it is 127.0.0.1 as soon as the test says so. Any other name the nameserver does not know, and the system is asked.
 */
import { createSocket } from "node:dgram";
import type { LookupAddress } from "node:dns";
import dns from "node:dns/promises";
import { syncBuiltinESMExports } from "node:module";

const [A, AAAA] = [1, 28];
/** Addresses by the type of the question. */
const known: readonly (readonly [string, Readonly<Record<number, readonly number[]>>])[] = [
  [".inside.test", { [A]: [127, 0, 0, 1] }],
  [".both.test", { [A]: [192, 0, 2, 1], [AAAA]: [0x26, 0x06, 0x47, 0, ...Array(11).fill(0), 1] }],
];

export interface Names {
  /** What the nameserver was asked for. */
  readonly asked: ReadonlySet<string>;
  /** What the system was asked for, and began to look for. */
  readonly looked_up: ReadonlySet<string>;
  /** What anybody was asked for. */
  readonly sought: ReadonlySet<string>;
  /** Requests to the nameserver that were taken back. */
  readonly cancelled: number;
  /** The system finds x.unknown.test. */
  release(name: string): void;
  close(): Promise<void>;
}

export async function openNames(): Promise<Names> {
  const [asked, looked_up, sought] = [new Set<string>(), new Set<string>(), new Set<string>()];
  let cancelled = 0;
  const server = createSocket("udp4");
  server.on("message", (query, peer) => {
    const { name, type, end } = readQuestion(query);
    asked.add(name);
    sought.add(name);
    if (name.endsWith(".silent.test")) return;
    const addresses = known.find(([zone]) => name.endsWith(zone))?.[1];
    const address = addresses?.[type] ?? [];
    // The name in the question: its type, IN, kept for no second, so many bytes.
    const found = address.length > 0 ? [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, address.length, ...address] : [];
    const head = [0x81, addresses ? 0x80 : 0x83, 0, 1, 0, found.length > 0 ? 1 : 0, 0, 0, 0, 0];
    const id = query.subarray(0, 2);
    server.send(Buffer.concat([id, Buffer.from(head), query.subarray(12, end), Buffer.from(found)]), peer.port);
  });
  await new Promise<void>((resolve) => server.bind(0, "127.0.0.1", resolve));
  const nameserver = `127.0.0.1:${server.address().port}`;

  const { Resolver, lookup } = dns;
  class TestResolver extends Resolver {
    constructor(options?: ConstructorParameters<typeof Resolver>[0]) {
      super(options);
      this.setServers([nameserver]);
    }
    override cancel() {
      cancelled += 1;
      super.cancel();
    }
  }

  const held = new Map<string, () => void>();
  const waiting: (() => void)[] = [];
  let under_way = 0;
  const inPlace = async (name: string): Promise<LookupAddress[]> => {
    sought.add(name);
    if (under_way === 2) await new Promise<void>((resolve) => waiting.push(resolve));
    under_way += 1;
    looked_up.add(name);
    try {
      if (!/\.(silent|unknown)\.test$/.test(name)) return await lookup(name, { all: true });
      await new Promise<void>((resolve) => held.set(name, resolve));
      return [{ address: "127.0.0.1", family: 4 }];
    } finally {
      under_way -= 1;
      waiting.shift()?.();
    }
  };
  replace({ Resolver: TestResolver, lookup: inPlace });
  return {
    asked,
    looked_up,
    sought,
    get cancelled() {
      return cancelled;
    },
    release: (name) => held.get(name)?.(),
    close: () => {
      replace({ Resolver, lookup });
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** Also for whoever has imported them by name. */
function replace(parts: Record<"Resolver" | "lookup", unknown>): void {
  Object.assign(dns, parts);
  syncBuiltinESMExports();
}

/** `end`: where the question ends, in bytes. */
function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString("latin1", at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join(".").toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 };
}
