/**
 * The one outbound HTTP client: every request to an address that a tenant or client named goes through here, and the operator's SMS provider.
 * https only; the host is resolved once and the connection goes to exactly that address, which must be a public one; no
 * redirects, no cookies, 5 s (the SMS provider gets more), 64 KiB. EGRESS_ALLOW opens exceptions, and one inside
 * loopback also permits http.
 *
 * In: a request. Out: the answer, whatever its status; or an error whose message may be logged.
 */
import dns from "node:dns/promises";
import { request as requestHttp } from "node:http";
import { request as requestHttps } from "node:https";
import { isIP, type LookupFunction } from "node:net";
import ipaddr from "ipaddr.js";
import { isWithin, parseRange, type Range } from "../config/ranges.ts";
import { findAddresses, type Resolved } from "./names.ts";

export interface Egress {
  readonly allowed: readonly Range[];
}

/** `allow`: CIDRs or single addresses. @throws when one cannot be read. */
export function openEgress(allow: readonly string[]): Egress {
  return { allowed: allow.map((entry) => parseRange(entry)) };
}

export interface EgressRequest {
  readonly url: string;
  readonly method: "GET" | "POST";
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly signal?: AbortSignal;
  /** Milliseconds; longer than 5 s only for what the operator named. */
  readonly timeout?: number;
  /** The operator named the address: the system looks its host up, as it does those of the database and of mail. */
  readonly by_operator?: true;
}

export interface EgressResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

const TIMEOUT = 5_000;
const LIMIT = 64 * 1024;

/** What asking again does not change. */
export class Unfit extends Error {}

const UNANSWERED: unique symbol = Symbol("unanswered");

/** The whole request had left when this went wrong: the server may have done what it was asked. */
export function isUnanswered(error: unknown): boolean {
  return error instanceof Error && UNANSWERED in error;
}

/** @throws when the address is refused, unreachable, slow or talks too much; never with what was sent. */
export async function egressFetch(egress: Egress, request: EgressRequest): Promise<EgressResponse> {
  const url = new URL(request.url);
  // AbortSignal.any does not hold its sources: a timeout among them is collected as garbage, and never fires.
  const given_up = new AbortController();
  const giveUp = () => given_up.abort();
  const timer = setTimeout(giveUp, request.timeout ?? TIMEOUT);
  if (request.signal?.aborted) giveUp();
  request.signal?.addEventListener("abort", giveUp);
  try {
    const address = await within(given_up.signal, url.host, resolve(egress, url, request, given_up.signal));
    return await send(url, address, request, given_up.signal);
  } finally {
    clearTimeout(timer);
    request.signal?.removeEventListener("abort", giveUp);
  }
}

/** Waits no longer than `signal` allows for what goes on: others may wait for it, or it cannot be aborted. */
export function within<T>(signal: AbortSignal, host: string, work: Promise<T>): Promise<T> {
  return new Promise((done, failed) => {
    const late = () => failed(new Error(`no answer from ${host} in time`));
    if (signal.aborted) late();
    signal.addEventListener("abort", late, { once: true });
    work.then(done, failed).finally(() => signal.removeEventListener("abort", late));
  });
}

async function resolve(
  egress: Egress,
  url: URL,
  { by_operator }: EgressRequest,
  signal: AbortSignal,
): Promise<Resolved> {
  if (url.protocol !== "https:" && url.protocol !== "http:") throw new Unfit(`${url.protocol} is not allowed`);
  if (url.username !== "" || url.password !== "") throw new Unfit("an address must not hold a user name or password");
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const found = isIP(host)
    ? [{ address: host, family: isIP(host) }]
    : await (by_operator ? dns.lookup(host, { all: true }) : findAddresses(host, signal));
  const usable = found.find(({ address }) => isReachable(egress, url, address));
  if (!usable) throw new Unfit(`${url.host} is not a public https address; EGRESS_ALLOW opens exceptions`);
  return usable;
}

function isReachable({ allowed }: Egress, url: URL, text: string): boolean {
  const address = ipaddr.process(text);
  const range = address.range();
  const opened = isWithin(allowed, address);
  if (url.protocol === "http:") return opened && range === "loopback";
  return opened || range === "unicast";
}

function send(
  url: URL,
  { address, family }: Resolved,
  request: EgressRequest,
  signal: AbortSignal,
): Promise<EgressResponse> {
  const pinned: LookupFunction = (_host, options, done) =>
    options.all ? done(null, [{ address, family }]) : done(null, address, family);
  const { method, headers, body = "" } = request;
  return new Promise((resolvePromise, reject) => {
    const [start, opened] =
      url.protocol === "https:" ? ([requestHttps, "secureConnect"] as const) : ([requestHttp, "connect"] as const);
    const length = method === "POST" ? { "content-length": String(Buffer.byteLength(body)) } : {};
    const outgoing = start(url, { method, headers: { ...headers, ...length }, lookup: pinned, agent: false, signal });
    // Before that a request may count as written, though nothing of it has left.
    let open = false;
    outgoing.on("socket", (socket) => socket.once(opened, () => (open = true)));
    const fail = (error: Error) => {
      const reason = signal.aborted ? new Error(`no answer from ${url.host} in time`) : withoutPlace(error);
      reject(open && outgoing.writableFinished ? Object.assign(reason, { [UNANSWERED]: true }) : reason);
    };
    outgoing.on("error", fail);
    // Of a server that switches protocols nothing else is told.
    const unanswered = () => fail(new Error(`${url.host} ended the connection without an answer`));
    outgoing.on("close", unanswered);
    outgoing.on("response", (response) => {
      outgoing.off("close", unanswered);
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > LIMIT) response.destroy(new Unfit(`${url.host} answered more than ${LIMIT} bytes`));
        else chunks.push(chunk);
      });
      response.on("error", fail);
      response.on("end", () => {
        resolvePromise({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString("utf8"),
        });
      });
    });
    outgoing.end(body);
  });
}

/** What went wrong with TLS, without the thread and the line of OpenSSL that say so. */
function withoutPlace(error: Error): Error {
  const [, what] = /:error:\w+:[^:]*:[^:]*:([^:]+)/.exec(error.message) ?? [];
  return what === undefined ? error : new Error(`TLS: ${what}`);
}
