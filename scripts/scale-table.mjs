/** The table of `docs/scale.md`: what one process did in the committed run of the bench, in two digits. */

const FIRST = "<!-- printed from proof/bench.json -->\n";
const LAST = "<!-- printed so far -->";

const biggest = /10,000,000 codes/;

/** What a row says, the figure that it is from, and what of that. */
const rows = [
  ["logins a second, 32 connections", "authorize", /^token ES256$/],
  ["… with 8 connections", "connections", / 8 connections$/],
  ["… with 128 connections", "connections", / 128 connections$/],
  ["… with 10⁷ codes, 10⁶ people and 100,000 accounts", "growth", biggest],
  ["tokens for clients (`client_credentials`) a second", "standard", /^client_credentials$/],
  ["introspections a second", "standard", /^introspection$/],
  ["codes asked for and sent a second", "passwordless", /./],
  ["whole hosted logins (six requests) a second", "standard", /^hosted login/],
  ["refreshed logins a second, each with an ID token", "standard", /^refresh$/],
  ["memory with 10⁷ codes", "growth", biggest, ({ rss_mb }) => `${rss_mb} MB`],
  ["start, with 10⁷ codes", "growth", biggest, ({ started_ms }) => `${(started_ms / 1000).toFixed(1)} s`],
];

const rateOf = ({ per_second }) => Number(per_second.toPrecision(2)).toLocaleString("en");

/** @throws when the run lacks a figure, or the page the place for them. */
export function withFigures(page, { figures }) {
  const [from, to] = [page.indexOf(FIRST), page.indexOf(LAST)];
  if (from < 0 || to < from) throw new Error("docs/scale.md has no place for the table");
  const lines = rows.map(([words, suite, what, told = rateOf]) => {
    const cells = ["sqlite", "postgres"].map((engine) => {
      const figure = figures.find((one) => one.suite === suite && one.engine === engine && what.test(one.what));
      if (!figure) throw new Error(`the bench has no figure of ${suite} on ${engine} for: ${words}`);
      return told(figure);
    });
    return `| ${[words, ...cells].join(" | ")} |\n`;
  });
  const table = `| | SQLite | PostgreSQL |\n| --- | --- | --- |\n${lines.join("")}`;
  return `${page.slice(0, from)}${FIRST}\n${table}\n${page.slice(to)}`;
}
