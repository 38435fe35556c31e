/** The page of results: tables in Markdown, plots beside it, and the figures as JSON for whoever wants to look again. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { basename, dirname, join } from "node:path";
import { postgresVersion } from "./harness.mjs";
import { bars, plot } from "./plot.mjs";

export function machineOf() {
  const [{ model }] = cpus();
  const version = (name) => {
    try {
      return JSON.parse(readFileSync(new URL(`peers/node_modules/${name}/package.json`, import.meta.url))).version;
    } catch {
      return undefined;
    }
  };
  return {
    cpu: `${cpus().length} × ${model.trim()}`,
    memory_gb: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    postgres: postgresVersion(),
    peers: { "better-auth": version("better-auth"), "oidc-provider": version("oidc-provider") },
  };
}

const intros = {
  authorize: `\`POST auth/authorize\` with a code that works once; the answer carries a signed token and is on disk. Beside it, in the
same rounds: \`http\`, the same HTTP layer answering with one token again and again; \`signature\`, that and a signature each, which is
the ceiling; \`gathered\`, the same when its answers leave together, turn by turn of the event loop, as those do that wait for no store;
\`statement\`, the statement that redeems, alone (PostgreSQL: \`pgbench\`, two connections, 16 codes a batch; SQLite: a loop in one
process, 16 codes a commit); \`better_auth\`, a login by its e-mail code plugin on the same engine.`,
  standard: `\`client_credentials\` and introspection beside oidc-provider with its store in memory, the other flows by themselves.
Latencies of a flow are those of its steps added up.`,
  passwordless:
    "`POST auth/passwordless`: each request makes a code for another person, queues its message and takes its counts.",
  connections: "The same authorizations over 1 to 128 connections; ratios are to 32.",
  workers:
    "`WORKERS` processes on one port, PostgreSQL; ratios are to one. Load generator and database share the machine with them.",
  growth:
    "What an authorization costs as the database grows, for up to 100 accounts and clients in turn; ratios are costs, to the smallest.",
  timing: `What a stopwatch on loopback sees: one connection, one request at a time, messages into the sandbox inbox. A difference is the
second kind's median (\`low\`: 10th percentile) less the first's, in microseconds, ± what holds 99.9 % of chance. In the same rounds, in an
order drawn anew for each: \`same\`, the first kind against itself, and \`planted\`, the first kind with 100 µs of delay, which is \`detected\`
where the run was long enough to see so little. \`told_apart\`: one of the two is beyond chance, and beyond \`same\`.`,
};

const peers = `## What stands beside it

| step | Latchkey | better-auth | oidc-provider |
| --- | --- | --- | --- |
| login with a mailed code | compares, counts a guess, spends the code and its siblings, records it; one durable commit | compares, counts a try, deletes the code, writes a session; durable commits | – |
| what is kept of a code | a keyed digest | the code, as it comes | – |
| what the answer carries | a token signed with ES256 or RS256 | a session cookie | – |
| client_credentials | secret, client and grant read as committed; recorded; one durable commit; signed JWT | – | secret and client from memory, nothing kept for a JWT; signed JWT |
| introspection | signature, revocations and the client's right to ask; JWT | – | looks an opaque token up in memory |
| limits | on, as they come; the account's sends a minute raised | rate limit switched off | has none |
| log and audit trail | both on | neither | neither |
| database | SQLite, each commit flushed; PostgreSQL as it comes, its log used before | the same, \`synchronous=full\`; PostgreSQL the same | none |

A row says what each does in what was measured, not what it can do.
`;

/** `figures` that bring no rate stand by themselves in JSON. */
export function pageOf({ figures, machine, options }, plots = []) {
  const names = [...new Set(figures.map(({ suite }) => suite))];
  const versions = Object.entries(machine.peers).map(([name, version]) => `${name} ${version ?? "–"}`);
  const sections = names.map((name) => {
    const own = figures.filter(({ suite }) => suite === name);
    const images = plots.filter(({ suite }) => suite === name).map(({ file, title }) => `\n![${title}](${file})\n`);
    return `## ${name}\n\n${intros[name] ?? ""}\n\n${own[0].per_second === undefined ? plainTable(own) : table(own)}\n${images.join("")}`;
  });
  return `# Measured

${machine.cpu}, ${machine.memory_gb} GB; Node.js ${machine.node}; ${machine.postgres ?? "PostgreSQL of TEST_DATABASE_URL, or none"}; ${versions.join(", ")}.
${options.rounds} rounds of up to ${options.requests} requests or ${options.seconds} s${options.quick ? ", the quick form" : ""}; growth to ${options.growth.toLocaleString("en")} codes. Keys, codes and rows that fill
are random; there is no seed. One process a server and 32 connections where nothing else is said. Everybody takes turns within a round; rates and
latencies are medians of the rounds, a ratio compares neighbours of one round and is the median of those. Load generator, server and
database share the machine, so ratios are worth more than rates. CPU is microseconds a request: server, database, load generator.
\`loop\` is the 99th percentile of how late the server's event loop was, \`start\` that of the first half second at a steady rate: connections
are new then, the server has been idle, and p99 leaves it out. Beside a p99 at a steady rate stands that of the signature alone, without a
store, at the same share of its own rate: what the machine does to anybody.

${sections.join("\n")}
${peers}`;
}

function table(figures) {
  const rows = figures.map((figure) => {
    const { engine, what, per_second, p50_ms, p99_ms, cpu_us = {}, rss_mb, beside = {}, ratios = {} } = figure;
    const cpu = ["server", "database", "load"].map((side) => cpu_us[side] ?? "–").join(" / ");
    const notes = [
      ...Object.entries(beside).map(([name, rate]) => `${name} ${rate}/s`),
      ...(figure.signature_p99_ms === undefined ? [] : [`p99 of the signature ${figure.signature_p99_ms} ms`]),
      ...(figure.start_ms === undefined ? [] : [`start ${figure.start_ms} ms`]),
      ...(figure.loop_ms === undefined ? [] : [`loop ${figure.loop_ms} ms`]),
      ...(figure.started_ms === undefined ? [] : [`started in ${figure.started_ms} ms`]),
    ];
    const own = Object.entries(ratios).map(([name, ratio]) => `${shortOf(name)} ${ratio.toFixed(2)}`);
    return `| ${[engine, what, per_second, p50_ms, p99_ms, cpu, rss_mb, notes.join(", "), own.join(", ")].join(" | ")} |`;
  });
  return `| engine | what | a second | p50 ms | p99 ms | CPU µs | MB | beside it | ratio |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}`;
}

/** What another measurement brought, a column for each of its plain values. */
function plainTable(figures) {
  const columns = Object.keys(figures[0]).filter((name) => name !== "suite" && typeof figures[0][name] !== "object");
  const rows = figures.map((figure) => `| ${columns.map((name) => figure[name]).join(" | ")} |`);
  return `| ${columns.join(" | ")} |\n|${" --- |".repeat(columns.length)}\n${rows.join("\n")}`;
}

const shortOf = (name) => (name.includes("_to_") ? `to ${name.replace(/^.*_to_|_postgres$/g, "")}` : "");

/** The page, its plots and its figures, side by side. */
export function writePage(out, result) {
  const folder = dirname(out);
  mkdirSync(folder, { recursive: true });
  const name = basename(out, ".md");
  const plots = plotsOf(result).map(({ suite, title, image }) => {
    const file = `${name}-${suite}.svg`;
    writeFileSync(join(folder, file), image);
    return { suite, title, file };
  });
  writeFileSync(out, pageOf(result, plots));
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
}

function plotsOf({ figures, ratios }) {
  const of = (name) => figures.filter(({ suite }) => suite === name);
  const over = (name, field, title, axis, panel, tickOf = String) => {
    const own = of(name);
    const xs = [...new Set(own.map((figure) => figure[field]))].sort((a, b) => a - b);
    if (xs.length < 2) return [];
    const engines = [...new Set(own.map(({ engine }) => engine))];
    const panels = panel.map(({ name: label, unit, read }) => ({
      ...{ name: label, unit },
      lines: engines.map((engine) => ({
        name: engine,
        points: own.filter((figure) => figure.engine === engine).map((figure) => [figure[field], read(figure)]),
      })),
    }));
    return [{ suite: name, title, image: plot({ title, axis, panels, ticks: xs.map((x) => [x, tickOf(x)]) }) }];
  };
  const rate = { name: "authorizations", unit: "/s", read: ({ per_second }) => per_second };
  const late = { name: "p99", unit: "ms", read: ({ p99_ms }) => p99_ms };
  const cost = { name: "cost, to the smallest", unit: "", read: (figure) => Object.values(figure.ratios)[0] };
  const exact = (x) => x.toLocaleString("en");
  return [
    ...ratioBars(ratios),
    ...over("connections", "connections", "Authorizations a second by connections", "connections", [rate, late]),
    ...over("workers", "workers", "Authorizations a second by processes", "processes", [rate, late]),
    ...over("growth", "codes", "What an authorization costs as the database grows", "codes", [cost, late], exact),
  ];
}

const spellings = { sqlite: "SQLite", postgres: "PostgreSQL", rs256: "RS256", http: "HTTP" };
const spelled = (name) =>
  name
    .split("_")
    .map((word) => spellings[word] ?? word)
    .join(" ");

function ratioBars(ratios) {
  const of = (pattern) =>
    Object.entries(ratios)
      .filter(([name]) => pattern.test(name))
      .map(([name, value]) => ({ name: spelled(name), value }));
  const groups = [
    { name: "share of what bounds it", bars: of(/_to_(ceiling|http|statement)/) },
    { name: "times a peer", bars: of(/_to_(better_auth|oidc_provider)/) },
  ].filter((group) => group.bars.length > 0);
  if (groups.length === 0) return [];
  const title = "Latchkey beside ceilings and peers of the same run; the mark is 1";
  return [{ suite: "authorize", title, image: bars({ title, groups }) }];
}
