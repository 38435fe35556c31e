/**
 * The load generator: a process of its own that stays, so that it is warm. It is sent prepared requests and keeps so
 * many connections busy with them, one in flight on each; or, with `rate`, begins that many a second whether or not
 * earlier ones were answered, and counts the latency from when a request was due. Then the first half second, in which
 * connections are new and the server has been idle, counts by itself.
 *
 * In, as a message of its parent: { port, connections, expected, file, lengths, repeat, rate, collect }. `file` holds
 * the requests one after another, `lengths` their bytes; `repeat` sends them so many times. Out: { ok, wrong, seconds,
 * p50, p99, most, start_p99, cpu_us, first_wrong, collected }. `wrong` must be 0 for a figure to count.
 */
import { readFileSync } from "node:fs";
import { between, openWire, statusOf } from "./wire.mjs";

/** Milliseconds between opening the connections and the first request. */
const SETTLING = 200;
/** Milliseconds at a steady rate before latencies count, or a quarter of the run. */
const START = 500;

process.on("message", (asked) => {
  drive(asked).then(
    (answer) => process.send(answer),
    (error) => process.send({ error: error.message }),
  );
});

async function drive({ port, connections, expected, file, lengths, repeat = 1, rate, collect }) {
  const requests = cut(readFileSync(file), lengths);
  const total = requests.length * repeat;
  const latencies = new Float64Array(total);
  const collected = collect ? new Array(total).fill("") : undefined;
  let [next, done, wrong, first_wrong] = [0, 0, 0, null];
  let finished;
  const end = new Promise((resolve, reject) => {
    finished = { resolve, reject };
  });
  const idle = [];

  /** A connection and the request that it carries. */
  const open = async () => {
    const line = { number: 0, due: 0, send: undefined, close: undefined };
    const answered = (bytes) => {
      latencies[line.number] = performance.now() - line.due;
      if (statusOf(bytes) !== expected) {
        wrong++;
        first_wrong ??= bytes.latin1Slice();
      } else if (collected) collected[line.number] = collect.map(([before, after]) => between(bytes, before, after));
      done++;
      if (done === total) finished.resolve();
      else advance(line);
    };
    const wire = await openWire(port, { answered, failed: finished.reject });
    line.send = wire.send;
    line.close = wire.close;
    return line;
  };
  const begin = (line, due) => {
    line.number = next++;
    line.due = due;
    line.send(requests[line.number % requests.length]);
  };
  const lines = await Promise.all(Array.from({ length: Math.min(connections, total) }, open));
  // Whoever answers has met everybody before the first of them asks.
  await new Promise((resolve) => setTimeout(resolve, SETTLING));
  const cpu = process.cpuUsage();
  const started = performance.now();
  const dueAt = (number) => started + (number * 1000) / rate;
  const advance = (line) => {
    if (!rate) {
      if (next < total) begin(line, performance.now());
    } else if (next < total && dueAt(next) <= performance.now()) begin(line, dueAt(next));
    else idle.push(line);
  };
  if (rate) idle.push(...lines);
  else for (const line of lines) advance(line);
  const clock = rate
    ? setInterval(() => {
        while (idle.length > 0 && next < total && dueAt(next) <= performance.now()) begin(idle.pop(), dueAt(next));
      }, 1)
    : undefined;
  try {
    await end;
    const seconds = (performance.now() - started) / 1000;
    const { user, system } = process.cpuUsage(cpu);
    const steady = rate ? Math.min(Math.round((rate * START) / 1000), Math.floor(total / 4)) : 0;
    const spread = { ...spreadOf(latencies.subarray(steady)), start_p99: spreadOf(latencies.subarray(0, steady)).p99 };
    return { ok: done - wrong, wrong, seconds, ...spread, cpu_us: user + system, first_wrong, collected };
  } finally {
    clearInterval(clock);
    for (const line of lines) line.close();
  }
}

/** Undefined of nothing. */
function spreadOf(latencies) {
  const sorted = latencies.toSorted();
  const at = (share) => sorted[Math.floor((sorted.length - 1) * share)]?.toFixed(2);
  const [p50, p99, most] = [at(0.5), at(0.99), at(1)].map((text) => text && Number(text));
  return { p50, p99, most };
}

function cut(bytes, lengths) {
  let from = 0;
  return lengths.map((length) => {
    const request = bytes.subarray(from, from + length);
    from += length;
    return request;
  });
}
