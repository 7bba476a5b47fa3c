// Screen 2: the market as offered beside the student's change, on the same seed and the same axes.
import { A, B, FIRMS, fill, lineChart, rangeOf } from "./chart.js";
import { MEASURES, TABLE, leader, outcome, scaled, titled, told, written } from "./measures.js";

const $ = (id) => document.getElementById(id);

/** Draw both markets up to a month. */
export function drawCompare({ state, preset, a, b }) {
  const percentages = (run) => Object.values(run.providers).map(({ share }) => share.map((value) => scaled("leader_share", value)));
  const range = rangeOf(...percentages(a), ...percentages(b));
  for (const [id, label, run] of [["shares-a", "A, as offered", a], ["shares-b", a === b ? "B, still as A" : "B, your change", b]]) {
    drawShares($(id), `Shares in ${label} (%)`, run, preset.months, state.month, range);
  }
  drawBoth($("both"), state.measure, a, b, preset.months, state.month);
  drawFigures($("figures"), preset, a, b, state.month);
  $("verdict").textContent = verdict(state, preset, a);
}

/** Shares of all firms. */
function drawShares(box, title, run, months, month, range) {
  const first = leader(run, month);
  const lines = Object.entries(run.providers).map(([label, { share }], i) => ({
    label, ...FIRMS[i % FIRMS.length], values: share.map((value) => scaled("leader_share", value)),
  }));
  const sentence = `${title} by month. In month ${month} ${first} leads with ${told("leader_share", run.providers[first].share[month - 1])}.`;
  lineChart(box, { title, sentence, lines, months, upTo: month, range });
}

/** One measure of both. */
export function drawBoth(box, measure, a, b, months, month) {
  const { label } = MEASURES[measure];
  const lines = [[A, a], [B, b]].map(([style, run]) => ({ ...style, values: run.market[measure].map((value) => scaled(measure, value)) }));
  const at = (run) => told(measure, run.market[measure][month - 1]);
  const sentence = `${label} by month. In month ${month} it is ${at(a)} in A and ${at(b)} in B.`;
  lineChart(box, { title: titled(measure), sentence, lines, months, upTo: month, range: rangeOf(...lines.map(({ values }) => values)) });
}

/** The small table: the month, and last what was asked about; every number keeps its full value in `data-value`. */
export function drawFigures(table, preset, a, b, month) {
  const { column, at } = preset.guess, { label, unit } = MEASURES[column];
  const asked = `${label}, ${at === "highest" ? "highest of all" : "mean of the last year"}${unit && `, ${unit}`}`;
  const found = [
    ...TABLE.map((name) => [name, titled(name, [", ", ""]), (run) => run.market[name][month - 1]]),
    [column, asked, (run) => outcome(run, preset.guess)],
  ].map(([name, head, of]) => [name, head, of(a), of(b)]);
  table.caption.textContent = `Month ${month}`;
  const rows = found.map(([name, head, ...values]) => [head, ...values.map((value) => written(name, scaled(name, value)))]);
  fill(table, ["", "A", "B"], [["Leader", leader(a, month), leader(b, month)], ...rows]);
  [...table.tBodies[0].rows].forEach((row, i) => [1, 2].forEach((cell) => {
    row.cells[cell].className = "ab"[cell - 1];
    if (i) row.cells[cell].dataset.value = found[i - 1][cell + 1];
  }));
}

/** The guess beside what came out. */
export function verdict(state, preset, a) {
  const { column, question } = preset.guess;
  const found = told(column, outcome(a, preset.guess));
  const said = typeof state.guess === "number" ? `You said ${state.guess.toLocaleString("en-GB")}\u00a0${MEASURES[column].unit}. ` : "";
  return `${question}: ${said}In A it came to ${found}.`;
}
