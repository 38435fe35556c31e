/** Prepared HTTP/1.1 requests as text, and what several steps of one thing come to together. */

export function basic({ client_id, client_secret }) {
  return `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString("base64")}`;
}

export function get(port, path, headers = {}) {
  return `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${linesOf(headers)}\r\n`;
}

/** With a form, or with JSON. */
export function post(port, path, headers, { form, json }) {
  const body = form ? new URLSearchParams(form).toString() : JSON.stringify(json);
  const type = form ? "application/x-www-form-urlencoded" : "application/json";
  const own = { "content-type": type, "content-length": Buffer.byteLength(body) };
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n${linesOf({ ...headers, ...own })}\r\n${body}`;
}

const linesOf = (headers) =>
  Object.entries(headers)
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join("");

/** Steps that many people took one after another: the rate of whole flows, latencies and CPU time added up. */
export function chained(count, steps) {
  const sum = (read) => steps.reduce((total, step) => total + read(step), 0);
  const sides = Object.keys(steps[0].cpu_us);
  const perFlow = (side) => Math.round(sum(({ cpu_us, ok }) => (cpu_us[side] * ok) / count));
  return {
    per_second: count / sum(({ seconds }) => seconds),
    p50: Number(sum(({ p50 }) => p50).toFixed(2)),
    p99: Number(sum(({ p99 }) => p99).toFixed(2)),
    cpu_us: Object.fromEntries(sides.map((side) => [side, perFlow(side)])),
  };
}
