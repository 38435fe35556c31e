/**
 * Charts as SVG, with nothing but text: lines over a common axis, one panel below the other, and bars. They are
 * readable on a light and on a dark page, without colours, and their title says to everybody what they show.
 */

const [WIDTH, PANEL, LEFT, RIGHT, TOP, BAR] = [720, 130, 74, 20, 40, 20];
const NAMES = 250;
const STYLE = `<style>
.page { fill: #fff } text { fill: #24292f } .faint { fill: #59636e } .axis { stroke: #8c959f } .grid { stroke: #d8dee4 }
.line { fill: none; stroke-width: 2 } .line0, .key0 { stroke: #0969da } .line1, .key1 { stroke: #bc4c00; stroke-dasharray: 6 3 }
.bar { fill: #0969da } .one { stroke: #24292f; stroke-dasharray: 2 3 }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117 } text { fill: #e6edf3 } .faint { fill: #9198a1 } .axis { stroke: #6e7681 } .grid { stroke: #30363d }
.line0, .key0 { stroke: #58a6ff } .line1, .key1 { stroke: #f0883e } .bar { fill: #1f6feb } .one { stroke: #e6edf3 } }
</style>`;

/**
 * `panels`: [{ name, unit, lines: [{ name, points: [[x, y], …] }] }], at most two lines each. `axis` names the unit of
 * x. With `ticks`, [[x, text], …], x runs on a logarithmic scale between the first and the last of them.
 */
export function plot({ title, axis, panels, ticks }) {
  const height = TOP + panels.length * PANEL + 34;
  const most = Math.max(...panels.flatMap(({ lines }) => lines.flatMap(({ points }) => points.map(([x]) => x))), 1e-9);
  const [first, last] = ticks ? [ticks[0][0], ticks.at(-1)[0]] : [0, most];
  const share = (x) => (ticks ? Math.log(x / first) / Math.log(last / first || 2) : x / most);
  const across = (x) => LEFT + share(x) * (WIDTH - LEFT - RIGHT);
  const marks = ticks ?? Array.from({ length: 6 }, (_, index) => [(most * index) / 5, round((most * index) / 5)]);
  const drawn = panels.map((one, index) => panel(one, TOP + index * PANEL, across, ticks !== undefined)).join("");
  const labels = marks.map(([x, label]) => text(across(x), height - 18, "middle", label, "faint")).join("");
  return svg(height, title, `${drawn}${labels}${text(WIDTH - RIGHT, height - 4, "end", axis, "faint")}`);
}

function panel({ name, unit, lines }, top, across, dotted) {
  const highest = Math.max(...lines.flatMap(({ points }) => points.map(([, y]) => y)), 1e-9) * 1.1;
  const [floor, room] = [top + PANEL - 24, PANEL - 52];
  const up = (y) => floor - (y / highest) * room;
  const rule = (y, kind) => `<line x1="${LEFT}" y1="${y}" x2="${WIDTH - RIGHT}" y2="${y}" class="${kind}"/>\n`;
  const drawn = lines.map(({ points }, index) => {
    const places = points.map(([x, y]) => [across(x).toFixed(1), up(y).toFixed(1)]);
    const dots = dotted
      ? places.map(([x, y]) => `<circle cx="${x}" cy="${y}" r="3" class="line line${index}"/>`).join("")
      : "";
    return `<polyline points="${places.map((place) => place.join(",")).join(" ")}" class="line line${index}"/>${dots}\n`;
  });
  const keys = lines.length < 2 ? [] : lines.map(({ name: key }, index) => legend(key, index, floor - room - 8));
  return [
    rule(floor - room, "grid"),
    rule(floor - room / 2, "grid"),
    rule(floor, "axis"),
    text(LEFT, floor - room - 8, "start", name),
    ...keys,
    text(LEFT - 6, floor, "end", "0", "faint"),
    text(LEFT - 6, floor - room + 4, "end", `${round(highest)} ${unit}`.trim(), "faint"),
    ...drawn,
  ].join("");
}

function legend(name, index, y) {
  const x = WIDTH - RIGHT - 200 + index * 105;
  return `<line x1="${x}" y1="${y - 4}" x2="${x + 24}" y2="${y - 4}" stroke-width="2" class="key${index}"/>\n${text(x + 30, y, "start", name)}`;
}

/**
 * `groups`: [{ name, bars: [{ name, value }] }]; each group has a scale of its own, from zero, with a mark where both
 * are equal.
 */
export function bars({ title, groups }) {
  let y = TOP;
  const room = WIDTH - NAMES - RIGHT - 60;
  const parts = groups.map(({ name, bars: own }) => {
    const most = Math.max(1, ...own.map(({ value }) => value));
    const top = y + 24;
    const drawn = own.map(({ name: label, value }, index) => {
      const at = top + index * BAR;
      const width = Math.max(1, (value / most) * room).toFixed(1);
      return `${text(NAMES - 8, at + 12, "end", label)}<rect x="${NAMES}" y="${at + 2}" width="${width}" height="${BAR - 6}" class="bar"/>\n${text(NAMES + Number(width) + 6, at + 12, "start", value.toFixed(2))}`;
    });
    y = top + own.length * BAR + 16;
    const one = (NAMES + room / most).toFixed(1);
    const mark = `<line x1="${one}" y1="${top - 2}" x2="${one}" y2="${y - 18}" class="one"/>\n`;
    return `${text(16, top - 6, "start", name, "faint")}${drawn.join("")}${mark}`;
  });
  return svg(y + 8, title, parts.join(""));
}

function svg(height, title, content) {
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-labelledby="title" font-family="system-ui, sans-serif" font-size="12">
<title id="title">${escaped(title)}</title>
${STYLE}
<rect width="${WIDTH}" height="${height}" class="page"/>
${text(16, 22, "start", title, "", ' font-size="14" font-weight="600"')}${content}</svg>
`;
}

const round = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(2))));
const escaped = (value) => String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
const text = (x, y, anchor, value, kind = "", further = "") =>
  `<text x="${Number(x).toFixed(1)}" y="${y}" text-anchor="${anchor}"${kind && ` class="${kind}"`}${further}>${escaped(value)}</text>\n`;
