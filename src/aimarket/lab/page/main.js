// The page: its state, what the controls do to it, and which screen is drawn from it.
import { drawCompare } from "./compare.js";
import { buildControls, changes, layControls } from "./controls.js";
import { csvOf, download, drawExplain, pngOf } from "./explain.js";
import { drawGuess } from "./guess.js";
import { drawLaw, SEEDS } from "./law.js";
import { drawMap, nearestFirst, places } from "./map.js";
import { MEASURES } from "./measures.js";
import { makePlayer } from "./player.js";
import { lookAt, run, runAll } from "./runs.js";
import { fresh, marketQuery, read, write, SCREENS } from "./state.js";

const $ = (id) => document.getElementById(id);
const PEACE = 200; // ms without a change, after which the state is written down: browsers refuse a hundred times in a few seconds
let presets, preset, state, restless;

// --- what the state asks for ---------------------------------------------------------------------------------------

const offered = () => marketQuery(fresh(preset, state.seed), preset);
const chosen = () => marketQuery(state, preset);
const seeds = (query) => Array.from({ length: SEEDS }, (_, i) => {
  const next = new URLSearchParams(query);
  next.set("seed", state.seed + i);
  return next;
});

// --- drawing -------------------------------------------------------------------------------------------------------

const DRAW = {
  async guess() {
    drawGuess({ preset, a: await run(offered()), guess: Number($("guess").value) });
  },
  async compare() {
    const [a, b] = await both();
    drawCompare({ state, preset, a, b });
  },
  law() {
    const [a, b, ticket] = [offered(), chosen(), state];
    const goOn = () => ticket === state && state.screen === "law";
    const ofB = `${a}` === `${b}` ? [] : seeds(b);
    const asked = seeds(a).flatMap((query, i) => [["a", query], ...ofB.slice(i, i + 1).map((other) => ["b", other])]);
    let drawn = 0;
    const paint = (runs) => {
      const there = runs.filter(Boolean).length;
      if (there < runs.length && performance.now() - drawn < 150) return;
      drawn = performance.now();
      say(progress(there, runs.length));
      const of = (side) => runs.filter((_, i) => asked[i][0] === side);
      drawLaw({ state, preset, a: of("a"), b: of("b") });
    };
    runAll(asked.map(([, query]) => query), paint, goOn).catch(fail);
  },
  map() {
    const ticket = state;
    const goOn = () => ticket === state && state.screen === "map";
    const queries = places(state, preset).flat().map((stops) => marketQuery({ ...state, stops }, preset));
    const order = nearestFirst(state, preset);
    const choose = (stops) => change({ stops });
    const paint = (runs) => {
      say(progress(runs.filter(Boolean).length, runs.length));
      drawMap({ state, preset, runs: queries.map((_, place) => runs[order.indexOf(place)]), choose });
    };
    paint(queries.map(() => null));
    runAll(order.map((place) => queries[place]), paint, goOn).catch(fail);
  },
  async explain() {
    const [a, b] = await both();
    drawExplain({ state, preset, a, b });
  },
};
// By tens, so that nobody is read every number.
const progress = (there, all) => (there < all ? `${10 * Math.floor(there / 10)} of ${all} markets have run` : "");
const both = () => Promise.all([run(offered()), run(chosen())]);

let busy = false, again = false;
/** Draw the screen; while it is being drawn, only the last of all changes counts. */
async function draw() {
  again = busy;
  if (busy) return;
  busy = true;
  do {
    again = false;
    const screen = state.screen, drawing = state, late = setTimeout(() => say("the market runs …"), 200);
    for (const box of document.querySelectorAll(".chart")) box.ariaBusy = "true";
    try {
      await DRAW[screen]();
      if (!["law", "map"].includes(screen)) say("");
      document.body.dataset.drawn = `${screen}?${chosenOf(drawing)}`;
    } catch (error) {
      fail(error);
    }
    clearTimeout(late);
    for (const box of document.querySelectorAll(".chart")) box.ariaBusy = "false";
  } while (again);
  busy = false;
}
const chosenOf = (drawn) => marketQuery(drawn, presets.find(({ name }) => name === drawn.preset)).toString();

function say(text, bad = false) {
  $("status").textContent = text;
  $("status").className = bad ? "bad" : "";
}

const fail = (error) => say(error.message, true);

/** Change the state and draw it; once it stays, it stands in the URL, and the server is told. */
function change(changes) {
  state = { ...state, ...changes };
  clearTimeout(restless);
  restless = setTimeout(() => { writeDown(); lookAt(chosen()); }, PEACE);
  lay();
  return draw();
}

const writeDown = () => history.replaceState(null, "", `?${write(state, preset)}`);

/** Set every control to what the state says. */
function lay() {
  const seen = state.guess !== null;
  $("preset").value = preset.name;
  $("seed").value = state.seed;
  for (const button of $("screens").children) {
    const here = button.dataset.screen === state.screen;
    button.ariaCurrent = here ? "page" : null;
    button.disabled = !seen && button.dataset.screen !== "guess";
  }
  for (const section of document.querySelectorAll("section")) section.hidden = section.dataset.of !== state.screen;
  layControls(preset, state);
  for (const id of ["measure", "law-measure"]) $(id).value = state.measure;
  $("month").value = $("month-value").textContent = state.month;
  $("across").value = state.across;
  $("down").value = state.down;
  $("story").hidden = !["guess", "explain"].includes(state.screen);
  $("changes").hidden = !["law", "map"].includes(state.screen);
  $("changes").textContent = changes(state, preset);
  document.title = `${preset.title} – Market Lab`;
}

/** Build the controls of a preset. */
function build() {
  const { guess } = preset;
  $("question").textContent = `${preset.title}: ${preset.question}`;
  $("story").textContent = preset.story;
  Object.assign($("guess"), { min: guess.low, max: guess.high, step: guess.step, value: typeof state.guess === "number" ? state.guess : (guess.low + guess.high) / 2 });
  $("guess-question").textContent = guess.question;
  showGuess();
  buildControls(preset, () => state, change);
  $("month").max = preset.months;
  const axes = Object.entries(preset.sliders).map(([name, { label }]) => [name, label]);
  for (const id of ["across", "down"]) choices($(id), axes);
}

const choices = (select, pairs) => select.replaceChildren(...pairs.map(([value, text]) => new Option(text, value)));
const showGuess = () => {
  const { column } = preset.guess;
  $("guess-value").textContent = `${Number($("guess").value).toLocaleString("en-GB")} ${MEASURES[column].unit}`;
};

// --- the page ------------------------------------------------------------------------------------------------------

const player = makePlayer(() => ({ month: state.month, months: preset.months }), (month) => change({ month }));

function take(name, seed = state.seed) {
  player.pause();
  preset = presets.find((other) => other.name === name);
  state = fresh(preset, seed);
  build();
  return change({});
}

function listen() {
  $("choose").addEventListener("submit", (event) => event.preventDefault());
  $("preset").addEventListener("change", () => take($("preset").value));
  $("seed").addEventListener("change", () => {
    const seed = Math.round(Number($("seed").value));
    if (seed >= 0 && seed <= 999999) change({ seed });
    else lay();
  });
  $("luck").addEventListener("click", () => change({ seed: 1 + Math.floor(Math.random() * 999998) }));
  for (const button of $("screens").children) button.addEventListener("click", () => { player.pause(); change({ screen: button.dataset.screen }); });
  $("guess").addEventListener("input", () => { showGuess(); draw(); });
  $("commit").addEventListener("submit", (event) => {
    event.preventDefault();
    see(Number($("guess").value));
  });
  $("pass").addEventListener("click", () => see("pass"));
  $("reset").addEventListener("click", () => change({ stops: fresh(preset).stops, off: [] }));
  for (const id of ["measure", "law-measure"]) $(id).addEventListener("change", () => change({ measure: $(id).value }));
  $("month").addEventListener("input", () => { player.pause(); change({ month: Number($("month").value) }); });
  $("play").addEventListener("click", player.play);
  $("back").addEventListener("click", () => player.step(-1));
  $("forth").addEventListener("click", () => player.step(1));
  for (const [axis, other] of [["across", "down"], ["down", "across"]]) {
    $(axis).addEventListener("change", () => {
      const to = $(axis).value;
      change({ [axis]: to, [other]: state[other] === to ? state[axis] : state[other] });
    });
  }
  $("copy").addEventListener("click", copyLink);
  $("csv").addEventListener("click", async () => download(new Blob([csvOf(...(await both()))], { type: "text/csv" }), `market-lab-${preset.name}.csv`));
  $("png").addEventListener("click", async () => download(await pngOf($("sheet-chart").querySelector("svg")), `market-lab-${preset.name}.png`));
  $("print").addEventListener("click", () => print());
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) draw();
    width = innerWidth;
  });
}

async function copyLink() {
  writeDown();
  try {
    await navigator.clipboard.writeText(location.href); // only this machine's own address may; a LAN's may not
    say("The link is copied.");
  } catch {
    say("The link stands in the address bar.");
  }
}

const see = (guess) => change({ guess, screen: "compare" }).then(() => $("screen").focus());

async function start() {
  const response = await fetch("api/presets");
  ({ presets } = await response.json());
  state = read(location.search, presets, Object.keys(MEASURES));
  preset = presets.find(({ name }) => name === state.preset);
  choices($("preset"), presets.map(({ name, title }) => [name, title]));
  const measures = Object.entries(MEASURES).map(([name, { label }]) => [name, label]);
  for (const id of ["measure", "law-measure"]) choices($(id), measures);
  listen();
  build();
  await change({});
  performance.mark("first chart");
}

start().catch(fail);
