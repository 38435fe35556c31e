/**
 * A load generator in a process of its own: keeps `connections` sockets busy with prepared HTTP/1.1 requests, one in flight
 * on each, and reports how many were answered with the expected status. It parses as little as it can, because it shares
 * two cores with the server it measures.
 *
 * Usage (through `harness.mjs`): node bench/load.mjs <port> <connections> <expected status> <file with one request a line,
 * JSON-encoded> [a header whose values are wanted]
 * Prints one line of JSON: { ok, wrong, seconds, p50, p99, first_wrong }. `wrong` must be 0 for a figure to count.
 */
import { readFileSync } from "node:fs";
import { connect } from "node:net";

const [, , portText, connectionsText, expected, file, collect] = process.argv;
const [port, connections] = [Number(portText), Number(connectionsText)];
const collected = [];
const wanted = collect ? new RegExp(`^${collect}: (.*)$`, "im") : undefined;
const requests = readFileSync(file, "utf8")
  .split("\n")
  .filter(Boolean)
  .map((line) => Buffer.from(JSON.parse(line), "latin1"));
let next = 0;
let ok = 0;
let wrong = 0;
let firstWrong = null;
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const latencies = [];
const head = Buffer.from(`HTTP/1.1 ${expected}`);
const started = process.hrtime.bigint();

function drive() {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", noDelay: true });
    let pending = Buffer.alloc(0);
    let sent = 0n;
    const send = () => {
      const request = requests[next++];
      if (!request) {
        socket.end();
        resolve();
        return;
      }
      sent = process.hrtime.bigint();
      socket.write(request);
    };
    socket.on("connect", send);
    socket.on("error", reject);
    socket.on("data", (chunk) => {
      pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
      const end = pending.indexOf("\r\n\r\n");
      if (end < 0) return;
      const headers = pending.toString("latin1", 0, end);
      const chunked = /transfer-encoding: chunked/i.test(headers);
      if (chunked && !pending.subarray(-5).equals(LAST_CHUNK)) return;
      const stated = Number(/content-length: (\d+)/i.exec(headers)?.[1] ?? 0);
      const length = chunked ? pending.length - end - 4 : stated;
      if (pending.length < end + 4 + length) return;
      latencies.push(Number(process.hrtime.bigint() - sent) / 1e6);
      if (wanted) collected.push(wanted.exec(headers)?.[1] ?? "");
      if (pending.subarray(0, head.length).equals(head)) ok++;
      else {
        wrong++;
        firstWrong ??= pending.toString("latin1", 0, end + 4 + length);
      }
      pending = pending.subarray(end + 4 + length);
      send();
    });
  });
}

await Promise.all(Array.from({ length: connections }, drive));
const seconds = Number(process.hrtime.bigint() - started) / 1e9;
latencies.sort((a, b) => a - b);
const at = (share) => Number((latencies[Math.floor((latencies.length - 1) * share)] ?? 0).toFixed(2));
process.stdout.write(
  `${JSON.stringify({ ok, wrong, seconds, p50: at(0.5), p99: at(0.99), first_wrong: firstWrong, ...(wanted ? { collected } : {}) })}\n`,
);
