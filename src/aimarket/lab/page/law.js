// Screen 3: thirty seeds of A and of B. What changes with the seed is luck, what does not is law.
import { A, B, histogram, lineChart, rangeOf } from "./chart.js";
import { MEASURES, leader, scaled, titled, written } from "./measures.js";

export const SEEDS = 30;
const LUCKIEST = 9; // wins in thirty seeds of whoever has most, where five firms are as likely to win; the mean is 9.0
const $ = (id) => document.getElementById(id);

const quantile = (sorted, share) => {
  const at = (sorted.length - 1) * share, below = Math.floor(at);
  return sorted[below] + (sorted[Math.min(below + 1, sorted.length - 1)] - sorted[below]) * (at - below);
};

/** Median and the middle four fifths, month by month. */
function band(runs, measure, months) {
  const low = [], values = [], high = [];
  for (let i = 0; i < months; i++) {
    const sorted = runs.map((run) => scaled(measure, run.market[measure][i])).filter((value) => value !== null).sort((p, q) => p - q);
    for (const [list, share] of [[low, 0.1], [values, 0.5], [high, 0.9]]) list.push(sorted.length ? quantile(sorted, share) : null);
  }
  return { low, values, high };
}

/** The firm that leads most often in the end, and how often. */
export function winner(runs, months) {
  const wins = {};
  for (const run of runs) {
    const first = leader(run, months);
    wins[first] = (wins[first] ?? 0) + 1;
  }
  return Object.entries(wins).sort((p, q) => q[1] - p[1])[0];
}

/** Edges of bins for shares of the largest firm, from the least that it can have: narrow ones where they do. */
function binsOf(shares, preset) {
  const wide = Math.max(...shares) > 60, width = wide ? 5 : 2.5;
  const least = 5 * Math.floor(100 / preset.providers.length / 5);
  return Array.from({ length: ((wide ? 100 : 60) - least) / width + 1 }, (_, i) => least + width * i);
}

/** Draw what is there of both; runs not yet there are null, and B has none if it is as A. */
export function drawLaw({ state, preset, a, b }) {
  const sides = [[A, a.filter(Boolean)], [B, b.filter(Boolean)]].filter(([, runs]) => runs.length);
  if (!sides.length) return;
  const { label } = MEASURES[state.measure];
  const lines = sides.map(([style, runs]) => ({ ...style, ...band(runs, state.measure, preset.months) }));
  const end = lines.map(({ label: side, low, values, high }) => `${side} ends at ${written(state.measure, values.at(-1))}, from ${written(state.measure, low.at(-1))} to ${written(state.measure, high.at(-1))}`);
  lineChart($("bands"), {
    title: titled(state.measure),
    sentence: `${label} over ${SEEDS} seeds: ${end.join("; ")}.`,
    lines, months: preset.months, range: rangeOf(...lines.flatMap(({ low, high }) => [low, high])),
  });
  const finals = sides.map(([style, runs]) => [style, runs.map((run) => scaled("leader_share", run.market.leader_share.at(-1)))]);
  const edges = binsOf(finals.flatMap(([, shares]) => shares), preset);
  const series = finals.map(([style, shares]) => ({ ...style, counts: edges.slice(0, -1).map((edge, i) => shares.filter((share) => (share >= edge || !i) && (share < edges[i + 1] || i === edges.length - 2)).length) }));
  const wins = sides.map(([style, runs]) => {
    const [firm, times] = winner(runs, preset.months);
    return `${style.label}: same winner in ${times} of ${runs.length} (${firm})`;
  });
  histogram($("histogram"), {
    title: "Seeds by final share of the largest firm",
    sentence: `Final share of the largest firm over ${SEEDS} seeds. ${wins.join("; ")}.`,
    edges, series, xLabel: "share of the largest firm, %",
  });
  const even = Math.round(SEEDS / preset.providers.length);
  $("winner").textContent = `${wins.join("; ")}. If all ${preset.providers.length} were as likely to win, each would win about ${even}. Even so, the luckiest would win about ${LUCKIEST}. Lines are medians, bands the middle four fifths of ${SEEDS} seeds.`;
}
