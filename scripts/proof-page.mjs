/** The page of `npm run proof`: what each part left in the folder, as tables. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

export function proofPage(folder, runs) {
  const lines = (name) => readLines(join(folder, name));
  return `# Proof

What the tests show in short, at length: written by \`npm run proof\`, out of the figures beside this page.

${table(["part", "passed", "took", "when", "revision"], Object.entries(runs).map(runRow))}
## Faults

Processes killed, databases lost and wires cut while people log in. Lost: acknowledged, and not there afterwards. Redeemed twice: one
code, acknowledged more than once. Hung: a request that nobody ever answered.

${table(
  ["fault", "engine", "runs", "acknowledged", "lost", "redeemed twice", "hung", "serves again after"],
  mergeFaults(lines("faults.jsonl")).map((one) => [
    ...[one.fault, one.engine, one.runs, one.acknowledged, one.lost, one.twice, one.hung],
    one.back_ms === null ? "–" : `${(one.back_ms / 1000).toFixed(1)} s`,
  ]),
)}
## Model

Random commands in parallel against the server and a small reference; the history of each run is checked for linearizability.

${anyTable(lines("model.jsonl"))}
## Requests

Valid, nearly valid and hostile requests over every operation; inputs of the parsers under coverage guidance. \`held\`: memory
of the process after its garbage was collected, at a third of the run and at its end; \`most\`: ever, under the flood, garbage included.
\`never succeeded\`: operations that refused whatever they were sent.

${anyTable(lines("fuzz.jsonl"))}
## Measured

${existsSync(join(folder, "bench.md")) ? benchPart(readJson(join(folder, "bench.json"))) : "Not run yet.\n"}
## A long run

${soakPart(readJson(join(folder, "soak.json")), existsSync(join(folder, "soak.svg")))}`;
}

function runRow([name, { passed, seconds, at, revision, short }]) {
  const took = seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
  return [name, `${passed ? "yes" : "**no**"}${short ? ", the short form" : ""}`, took, at.slice(0, 10), revision];
}

/** One row a fault and engine, however many lines its rounds left: counts added up, the longest wait. */
function mergeFaults(lines) {
  const merged = new Map();
  for (const line of lines) {
    const { fault, engine = "both", runs = 1, back_ms = null } = line;
    const key = `${fault} ${engine}`;
    const before = merged.get(key) ?? {
      fault,
      engine,
      runs: 0,
      acknowledged: 0,
      lost: 0,
      twice: 0,
      hung: 0,
      back_ms: null,
    };
    const sum = (name) => before[name] + (line[name] ?? 0);
    merged.set(key, {
      ...before,
      runs: before.runs + runs,
      acknowledged: sum("acknowledged"),
      lost: sum("lost"),
      twice: sum("twice"),
      hung: sum("hung"),
      back_ms: back_ms === null ? before.back_ms : Math.max(before.back_ms ?? 0, back_ms),
    });
  }
  return [...merged.values()];
}

function benchPart({ ratios }) {
  const rows = Object.entries(ratios).map(([name, ratio]) => [`\`${name}\``, ratio.toFixed(2)]);
  return `[Rates, latencies and CPU time, with plots](bench.md), in the same rounds as what they are compared with.

${table(["ratio", ""], rows)}`;
}

function soakPart(figures, plotted) {
  if (!figures) return "Not run yet.\n";
  const pair = ({ second_third, last_third }, name) => `${second_third[name]} → ${last_third[name]}`;
  const rows = figures.map((one) => [
    ...[one.engine, `${one.minutes} min`, one.full ?? "–", one.rate, one.logins, one.late],
    Object.keys(one.wrong).length === 0 ? 0 : Object.values(one.wrong).reduce((sum, count) => sum + count, 0),
    ...["rss_mb", "files", "p50_ms", "p99_ms"].map((name) => pair(one, name)),
  ]);
  const columns = [
    "engine",
    "for",
    "full rate",
    "rate",
    "logins",
    "late",
    "wrong",
    "MB",
    "open files",
    "p50 ms",
    "p99 ms",
  ];
  return `Logins at half of what the two servers do side by side, with tokens and introspection among them. Late: begun later than the
rate wanted, because everybody was busy. Arrows lead from the median of the second third to that of the last.

${table(columns, rows)}${plotted ? "\n![Memory, open files, rate and latency over the run](soak.svg)\n" : ""}`;
}

/** A column for each field that any line has. */
function anyTable(lines) {
  const columns = [...new Set(lines.flatMap((line) => Object.keys(line)))];
  const shown = (value) => (typeof value === "number" ? value.toLocaleString("en") : (value ?? "–"));
  return table(
    columns.map((name) => name.replaceAll("_", " ")),
    lines.map((line) => columns.map((name) => shown(line[name]))),
  );
}

function table(columns, rows) {
  if (rows.length === 0) return "Not run yet.\n";
  const row = (cells) => `| ${cells.join(" | ")} |\n`;
  return [row(columns), row(columns.map(() => "---")), ...rows.map(row)].join("");
}

function readLines(path) {
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8")
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

export function readJson(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}
