// Screen 5: what to notice and to try, and what to take home.
import { drawBoth, drawFigures, verdict } from "./compare.js";
import { changes } from "./controls.js";
import { SEEDS } from "./law.js";

const $ = (id) => document.getElementById(id);

/** Draw the sheet. */
export function drawExplain({ state, preset, a, b }) {
  $("notice").textContent = preset.notice;
  for (const name of ["attempt", "extend"]) $(name).replaceChildren(...preset[name].map(item));
  $("lessons").textContent = `Lessons in the documentation: ${preset.lessons.map((name) => `docs/lessons/${name}.md`).join(", ")}`;
  $("sheet").textContent = `${verdict(state, preset, a)} ${changes(state, preset)}`;
  drawBoth($("sheet-chart"), state.measure, a, b, preset.months, preset.months);
  drawFigures($("sheet-figures"), preset, a, b, preset.months);
  $("command-a").textContent = a.command;
  $("command-b").textContent = b.command;
  const seeds = Array.from({ length: SEEDS }, (_, i) => state.seed + i).join(",");
  $("command-law").textContent = `${b.command.replace("aimarket run", "aimarket run -m").replace(/run\.seed=\d+/, `run.seed=${seeds}`)}`;
}

const item = (text) => Object.assign(document.createElement("li"), { textContent: text });

/** Every month of both, all columns and all firms, as they were recorded. */
export function csvOf(a, b) {
  const columns = Object.keys(a.market), firms = Object.keys(a.providers);
  const head = ["market", "month", ...columns, ...firms.flatMap((firm) => ["share", "price", "lerner"].map((name) => `${firm}_${name}`))];
  const lines = [["A", a], ["B", b]].flatMap(([side, run]) => run.market[columns[0]].map((_, i) => [
    side, i + 1, ...columns.map((name) => run.market[name][i] ?? ""),
    ...firms.flatMap((firm) => ["share", "price", "lerner"].map((name) => run.providers[firm][name][i] ?? "")),
  ]));
  return [head, ...lines].map((line) => line.join(",")).join("\r\n") + "\r\n";
}

/** Offer text or an image as a file. */
export function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

/** A chart as a PNG of twice its size. */
export async function pngOf(svg) {
  const { width, height } = svg.viewBox.baseVal;
  const copy = svg.cloneNode(true);
  copy.setAttribute("width", width);
  copy.setAttribute("height", height);
  const url = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" }));
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * width, height: 2 * height });
  canvas.getContext("2d").drawImage(image, 0, 0, 2 * width, 2 * height);
  URL.revokeObjectURL(url);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}
