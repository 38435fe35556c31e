/** Line charts as SVG, with nothing but text: one panel a series, one below the other, over a common time axis. */

const [WIDTH, PANEL, LEFT, RIGHT, TOP] = [720, 110, 70, 16, 34];

/** `series`: [{ name, unit, points: [[x, y], …] }]; x in the unit that `axis` names. */
export function plot({ title, axis, series }) {
  const height = TOP + series.length * PANEL + 30;
  const most = Math.max(...series.flatMap(({ points }) => points.map(([x]) => x)), 1e-9);
  const panels = series.map((one, index) => panel(one, TOP + index * PANEL, most)).join("");
  const ticks = Array.from({ length: 6 }, (_, index) => (most * index) / 5)
    .map((x) => text(across(x, most), height - 14, "middle", round(x)))
    .join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}" font-family="system-ui, sans-serif" font-size="11" fill="#333">
<title>${escaped(title)}</title>
<rect width="${WIDTH}" height="${height}" fill="#fff"/>
${text(LEFT, 18, "start", title, ' font-size="13" font-weight="600"')}${panels}${ticks}${text(WIDTH - RIGHT, height - 2, "end", axis)}
</svg>
`;
}

function panel({ name, unit, points }, top, most) {
  const highest = Math.max(...points.map(([, y]) => y), 1e-9) * 1.1;
  const [floor, room] = [top + PANEL - 22, PANEL - 40];
  const line = points.map(([x, y]) => `${across(x, most).toFixed(1)},${(floor - (y / highest) * room).toFixed(1)}`);
  return `
<line x1="${LEFT}" y1="${floor}" x2="${WIDTH - RIGHT}" y2="${floor}" stroke="#bbb"/>
<line x1="${LEFT}" y1="${floor - room}" x2="${WIDTH - RIGHT}" y2="${floor - room}" stroke="#eee"/>
${text(LEFT, floor - room - 6, "start", name)}${text(LEFT - 6, floor, "end", "0")}${text(LEFT - 6, floor - room + 4, "end", `${round(highest)} ${unit}`)}
<polyline points="${line.join(" ")}" fill="none" stroke="#2456c8" stroke-width="1.5"/>`;
}

const across = (x, most) => LEFT + (x / most) * (WIDTH - LEFT - RIGHT);
const round = (value) => (value >= 100 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(2))));
const escaped = (value) => String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;");
const text = (x, y, anchor, value, further = "") =>
  `<text x="${x.toFixed(1)}" y="${y}" text-anchor="${anchor}"${further}>${escaped(value)}</text>\n`;
