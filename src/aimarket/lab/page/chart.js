// Charts drawn by hand, as SVG that needs no style sheet, so that a copy of it looks the same on paper.
const SVG = "http://www.w3.org/2000/svg";
const INK = "#1b1f24", SOFT = "#57606a", GRID = "#e2e6ea";
const FONT = "system-ui, sans-serif";
const EDGE = { left: 46, right: 62, top: 30, bottom: 34 };
const HEIGHT = 208, TALLEST = 340;

export const FIRMS = [
  { colour: "#005a9c", dash: "" },
  { colour: "#b34700", dash: "9 3" },
  { colour: "#00664b", dash: "2 3" },
  { colour: "#85357c", dash: "9 3 2 3" },
  { colour: "#6b5900", dash: "5 2" },
];
export const A = { colour: INK, dash: "", label: "A" }; // no firm's colour
export const B = { colour: "#c2185b", dash: "9 3", label: "B" };

const element = (name, attributes = {}, text = "") => {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text) made.textContent = text;
  return made;
};
const say = (x, y, text, more = {}) =>
  element("text", { x, y, "font-family": FONT, "font-size": 13, fill: INK, ...more }, text);

/** Round numbers from low to high, about five. */
export function ticks(low, high) {
  const rough = (high - low) / 5 || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((unit) => unit * power).find((unit) => unit >= rough * 0.999);
  const first = Math.ceil(low / step - 1e-9);
  const count = Math.floor(high / step + 1e-9) - first;
  return Array.from({ length: count + 1 }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** The range that holds all values, from 0 unless some are below. */
export function rangeOf(...series) {
  const values = series.flat().filter((value) => value !== null && Number.isFinite(value));
  const low = Math.min(0, ...values), high = Math.max(...values, low + 1e-9);
  const grid = ticks(low, high), step = grid.length > 1 ? grid[1] - grid[0] : high - low;
  return [low < 0 ? Math.floor(low / step) * step : 0, Math.ceil(high / step - 1e-9) * step];
}

/** An empty chart with axes, and where things go in it. */
function frame(box, { title, sentence, xs, range, xLabel }) {
  const width = Math.max(280, Math.round(box.clientWidth || 560));
  const height = box.classList.contains("tall") ? Math.round(Math.min(TALLEST, Math.max(HEIGHT, 0.55 * width))) : HEIGHT;
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": sentence, xmlns: SVG });
  const x = (value) => EDGE.left + ((value - xs[0]) / (xs[1] - xs[0])) * (width - EDGE.left - EDGE.right);
  const y = (value) => height - EDGE.bottom - ((value - range[0]) / (range[1] - range[0])) * (height - EDGE.top - EDGE.bottom);
  svg.append(element("rect", { width, height, fill: "#ffffff" }), say(2, 16, title, { "font-weight": 600, "font-size": Math.min(14, (1.7 * width) / title.length) }));
  for (const value of ticks(...range)) {
    svg.append(element("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value), stroke: GRID }));
    svg.append(say(EDGE.left - 6, y(value) + 4, value.toLocaleString("en-GB"), { "text-anchor": "end", fill: SOFT, "font-size": 12 }));
  }
  svg.append(say((EDGE.left + width - EDGE.right) / 2, height - 4, xLabel, { "text-anchor": "middle", fill: SOFT, "font-size": 12 }));
  return { svg, x, y, width, height };
}

const path = (values, x, y) => {
  let drawn = "", pen = "M";
  values.forEach((value, i) => {
    if (value === null) pen = "M";
    else {
      drawn += `${pen}${x(i + 1).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    }
  });
  return drawn;
};

/** Heights for labels at about the heights wanted, none on another. */
function apart(wanted, low, high, gap = 14) {
  const order = wanted.map((at, i) => ({ at, i })).sort((p, q) => p.at - q.at);
  order.forEach((label, i) => { label.at = Math.max(label.at, i ? order[i - 1].at + gap : low); });
  for (let i = order.length - 1; i >= 0; i--) order[i].at = Math.min(order[i].at, i < order.length - 1 ? order[i + 1].at - gap : high);
  return order.sort((p, q) => p.i - q.i).map(({ at }) => at);
}

/**
 * Lines by month.
 * lines : [{label, colour, dash, values by month, low?, high?}], low and high bound a band
 * upTo  : the month up to which lines are drawn
 * mark  : {value, label, from}, a level drawn from a month to the end
 */
export function lineChart(box, { title, sentence, lines, months, upTo = months, range, mark }) {
  const { svg, x, y, width, height } = frame(box, { title, sentence, xs: [1, months], range, xLabel: "month" });
  const stride = months > 60 ? 24 : 12;
  for (let month = stride; month <= months; month += stride) {
    svg.append(say(x(month), height - EDGE.bottom + 16, month, { "text-anchor": "middle", fill: SOFT, "font-size": 12 }));
  }
  if (mark) {
    svg.append(element("line", { x1: x(mark.from), x2: x(months), y1: y(mark.value), y2: y(mark.value), stroke: INK, "stroke-width": 3 }));
    svg.append(say(x(months), y(mark.value) - 6, mark.label, { "font-size": 12, "text-anchor": "end" }));
  }
  const shown = lines.map((line) => ({ ...line, values: line.values.slice(0, upTo) }));
  for (const { low, high, colour } of shown) {
    if (!low) continue;
    const there = low.map((_, i) => i).filter((i) => low[i] !== null && i < upTo);
    const points = [...there.map((i) => [i, high[i]]), ...there.reverse().map((i) => [i, low[i]])];
    const corners = points.map(([i, value]) => `${x(i + 1).toFixed(1)},${y(value).toFixed(1)}`).join(" ");
    svg.append(element("polygon", { points: corners, fill: colour, "fill-opacity": 0.15, stroke: "none" }));
  }
  const ends = shown.map(({ values }) => values.findLast((value) => value !== null) ?? range[0]);
  const labels = apart(ends.map(y), EDGE.top + 4, height - EDGE.bottom);
  shown.forEach(({ values, colour, dash, label }, i) => {
    const last = values.findLastIndex((value) => value !== null) + 1;
    svg.append(element("path", { d: path(values, x, y), fill: "none", stroke: colour, "stroke-width": 2.2, "stroke-dasharray": dash }));
    if (!last) return;
    svg.append(element("line", { x1: x(last) + 2, y1: y(ends[i]), x2: x(last) + 10, y2: labels[i], stroke: colour }));
    svg.append(say(x(last) + 12, labels[i] + 4, label, { fill: colour, "font-weight": 600 }));
  });
  if (upTo < months) svg.append(element("line", { x1: x(upTo), x2: x(upTo), y1: EDGE.top, y2: height - EDGE.bottom, stroke: SOFT, "stroke-dasharray": "2 2" }));
  show(box, svg, ["month", ...lines.map(({ label }) => label)], rows(lines, months, upTo));
}

function rows(lines, months, upTo) {
  const at = [];
  for (let month = 12; month <= Math.min(months, upTo); month += 12) at.push(month);
  return at.map((month) => [month, ...lines.map(({ values }) => values[month - 1])]);
}

/** Counts by bin, A filled and B open, side by side; the highest bar of each bears its label. */
export function histogram(box, { title, sentence, edges, series, xLabel }) {
  const range = rangeOf(...series.map(({ counts }) => counts.map((count) => 1.1 * count))); // room for a label
  const { svg, x, y, height } = frame(box, { title, sentence, xs: [edges[0], edges.at(-1)], range, xLabel });
  for (const edge of edges.filter((_, i) => i % 2 === 0)) {
    svg.append(say(x(edge), height - EDGE.bottom + 16, Number(edge.toPrecision(3)).toLocaleString("en-GB"), { "text-anchor": "middle", fill: SOFT, "font-size": 12 }));
  }
  const slot = (x(edges[1]) - x(edges[0]) - 4) / series.length;
  series.forEach(({ counts, colour, label }, s) => {
    const highest = counts.indexOf(Math.max(...counts));
    counts.forEach((count, i) => {
      if (!count) return;
      const left = x(edges[i]) + 2 + s * slot;
      svg.append(element("rect", { x: left, y: y(count), width: Math.max(1, slot - 1), height: y(0) - y(count), fill: s ? "#ffffff" : colour, stroke: colour, "stroke-width": 2 }));
      if (i !== highest) return;
      const [at, anchor] = series.length < 2 ? [left + slot / 2, "middle"] : s ? [left, "start"] : [left + slot, "end"]; // away from the other's
      svg.append(say(at, y(count) - 4, label, { "text-anchor": anchor, "font-size": 12, fill: colour, "font-weight": 600, stroke: "#ffffff", "stroke-width": 4, "paint-order": "stroke" })); // seen before a bar
    });
  });
  const head = ["from", "to", ...series.map(({ label }) => label)];
  show(box, svg, head, edges.slice(0, -1).map((edge, i) => [edge, edges[i + 1], ...series.map(({ counts }) => counts[i])]));
}

/** Put a chart on the page, its numbers below it for whoever cannot see it. */
function show(box, svg, head, lines) {
  const open = box.querySelector("details")?.open ?? false;
  const details = document.createElement("details");
  details.open = open;
  const table = document.createElement("table");
  fill(table, head, lines.map((line) => line.map((value) => (typeof value === "number" ? Number(value.toPrecision(4)).toLocaleString("en-GB") : (value ?? "–")))));
  const summary = document.createElement("summary");
  summary.textContent = "Numbers";
  const scroll = document.createElement("div");
  scroll.className = "scroll";
  scroll.tabIndex = 0;
  scroll.role = "region";
  scroll.ariaLabel = "Numbers of the chart";
  scroll.append(table);
  details.append(summary, scroll);
  box.replaceChildren(svg, details);
}

/** Fill a table with a head and rows of text; the first cell of a row names it. */
export function fill(table, head, lines) {
  const row = (cells, kind, scope) => {
    const made = document.createElement("tr");
    made.append(...cells.map((cell, i) => {
      const heads = kind === "th" || i === 0;
      const place = document.createElement(heads ? "th" : "td");
      if (heads) place.scope = kind === "th" ? "col" : scope;
      place.textContent = cell;
      return place;
    }));
    return made;
  };
  const [top, body] = [table.tHead ?? table.createTHead(), table.tBodies[0] ?? table.createTBody()];
  top.replaceChildren(row(head, "th"));
  body.replaceChildren(...lines.map((line) => row(line, "td", "row")));
}
