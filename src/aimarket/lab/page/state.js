// Everything that the page shows follows from this state, and all of it stands in the URL.
export const SCREENS = ["guess", "compare", "law", "map", "explain"];

/** The state of a market as it is offered, nothing changed. */
export function fresh(preset, seed = 1) {
  const stops = Object.fromEntries(Object.entries(preset.sliders).map(([name, slider]) => [name, slider.start]));
  return {
    preset: preset.name, seed, stops, off: [], screen: "guess", guess: null, month: preset.months,
    measure: preset.guess.column, across: Object.keys(stops)[0], down: Object.keys(stops)[1],
  };
}

const whole = (text, low, high, otherwise) => {
  const number = /^\d{1,6}$/.test(text ?? "") ? Number(text) : NaN;
  return number >= low && number <= high ? number : otherwise;
};

/** The state that a query string tells; what it tells wrongly is as in a fresh state. */
export function read(query, presets, measures) {
  const given = new URLSearchParams(query);
  const preset = presets.find(({ name }) => name === given.get("preset")) ?? presets[0];
  const state = fresh(preset, whole(given.get("seed"), 0, 999999, 1));
  for (const [name, slider] of Object.entries(preset.sliders)) {
    state.stops[name] = whole(given.get(name), 0, slider.stops.length - 1, slider.start);
    for (const axis of ["across", "down"]) if (given.get(axis) === name) state[axis] = name;
  }
  state.off = (given.get("off") ?? "").split(",").filter((name) => name in preset.switches);
  if (measures.includes(given.get("show"))) state.measure = given.get("show");
  state.month = whole(given.get("month"), 1, preset.months, preset.months);
  const guess = given.get("guess");
  if (guess === "pass") state.guess = guess;
  else if (guess !== null && guess !== "" && Number.isFinite(Number(guess))) state.guess = Number(guess);
  if (state.guess !== null && SCREENS.includes(given.get("screen"))) state.screen = given.get("screen");
  return state;
}

/** The state as a query string, whatever stands as it was offered left out. */
export function write(state, preset) {
  const told = marketQuery(state, preset);
  const offered = fresh(preset);
  const more = { screen: state.screen, guess: state.guess, month: state.month, across: state.across, down: state.down };
  for (const [name, value] of Object.entries(more)) if (value !== offered[name]) told.set(name, value);
  if (state.measure !== offered.measure) told.set("show", state.measure);
  return told.toString();
}

/** What the server is asked for: the market of B. */
export function marketQuery({ preset: name, seed, stops, off }, preset) {
  const query = new URLSearchParams({ preset: name, seed });
  for (const [slider, stop] of Object.entries(stops)) if (stop !== preset.sliders[slider].start) query.set(slider, stop);
  if (off.length) query.set("off", off.join(","));
  return query;
}
