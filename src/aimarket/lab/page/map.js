// Screen 4: what comes out, over two sliders at once. Each place is a button that makes B that market.
import { silenced, stopShown } from "./controls.js";
import { MEASURES, between, briefly, outcome, scaled, titled, written } from "./measures.js";

const $ = (id) => document.getElementById(id);
const PALE = [255, 255, 255], DEEP = [120, 174, 214];

/** The stops of every place: rows down, columns across. */
export function places({ stops, across, down }, preset) {
  const ends = (name) => preset.sliders[name].stops.map((_, i) => i);
  return ends(down).map((row) => ends(across).map((column) => ({ ...stops, [down]: row, [across]: column })));
}

/** Where to begin: the numbers of all places, nearest to B first. */
export function nearestFirst(state, preset) {
  const far = (stops) => Math.abs(stops[state.across] - state.stops[state.across]) + Math.abs(stops[state.down] - state.stops[state.down]);
  return places(state, preset).flat().map((stops, i) => [far(stops), i]).sort(([p], [q]) => p - q).map(([, i]) => i);
}

/** Whether the market as offered is one of the places. */
const withA = ({ stops, off, across, down }, preset) =>
  !off.length && Object.entries(stops).every(([name, stop]) => [across, down].includes(name) || stop === preset.sliders[name].start);

/** Draw the map; runs not yet there are null, one after another as in `places`. */
export function drawMap({ state, preset, runs, choose }) {
  const [across, down] = [preset.sliders[state.across], preset.sliders[state.down]];
  const { column, at } = preset.guess;
  const { unit } = MEASURES[column];
  const values = runs.map((run) => (run ? scaled(column, outcome(run, preset.guess)) : null));
  const there = values.filter((value) => value !== null);
  const [low, high] = [Math.min(...there), Math.max(...there)];
  const silent = [across, down].filter((_, i) => silenced(state, preset).includes([state.across, state.down][i]));
  const idle = silent.map(({ label }) => ` "${label}" changes nothing here, for B has it switched off.`).join("");
  $("map-key").textContent = `${titled(column)}, ${at === "highest" ? "highest of all months" : "mean of the last year"}. Darker is more; every place is one run, with seed ${state.seed}. ${withA(state, preset) ? "A is the market as offered, B" : "A is not on this map, for B differs from it elsewhere. B"} is yours; choose a place to make it B.${idle}`;
  const head = document.createElement("tr"), corner = document.createElement("td");
  head.append(corner, ...across.stops.map((_, c) => cell("th", stopShown(across, c), "col")));
  const caption = `Across: ${across.label}${across.unit && ` (${across.unit})`}. Down: ${down.label}${down.unit && ` (${down.unit})`}.`;
  const rows = places(state, preset).map((row, r) => {
    const line = document.createElement("tr");
    line.append(cell("th", stopShown(down, r), "row"));
    row.forEach((stops, c) => line.append(place(stops, values[r * across.stops.length + c], r, c)));
    return line;
  });
  const table = $("map"), title = table.caption ?? table.createCaption();
  title.textContent = caption;
  (table.tHead ?? table.createTHead()).replaceChildren(head);
  const body = table.tBodies[0] ?? table.createTBody();
  const focused = [...body.querySelectorAll("button")].indexOf(document.activeElement);
  body.replaceChildren(...rows);
  if (focused >= 0) body.querySelectorAll("button")[focused]?.focus();

  function place(stops, value, r, c) {
    const isA = r === down.start && c === across.start && withA(state, preset);
    const isB = stops[state.down] === state.stops[state.down] && stops[state.across] === state.stops[state.across];
    const button = document.createElement("button");
    button.type = "button";
    const pins = [isA && "A", isB && "B"].filter(Boolean).join(" "), pinned = document.createElement("b");
    pinned.textContent = pins && ` ${pins}`;
    button.append(value === null ? "…" : briefly(column, value), pinned);
    button.ariaLabel = `${across.label} ${stopShown(across, c)}, ${down.label} ${stopShown(down, r)}: ${value === null ? "not yet there" : `${written(column, value)} ${unit}`}${pins ? `, ${pins}` : ""}`;
    button.ariaPressed = `${isB}`;
    button.className = pins ? "pin" : "";
    button.addEventListener("click", () => choose(stops));
    const made = document.createElement("td");
    const share = value === null ? 0 : between(column, value, low, high);
    made.style.background = `rgb(${PALE.map((pale, i) => Math.round(pale + (DEEP[i] - pale) * share)).join(",")})`;
    made.append(button);
    return made;
  }
}

function cell(kind, text, scope) {
  const made = document.createElement(kind);
  made.textContent = text;
  made.scope = scope;
  return made;
}
