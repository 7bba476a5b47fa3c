// The sliders and switches of a preset: native inputs, each with its label and its value in words.
const $ = (id) => document.getElementById(id);

/** Build them; what a hand does to them becomes a change of the state. */
export function buildControls(preset, stateNow, change) {
  $("sliders").replaceChildren(...Object.entries(preset.sliders).map(([name, slider]) => {
    const label = document.createElement("label"), input = document.createElement("input"), output = document.createElement("output");
    Object.assign(input, { type: "range", id: `slider-${name}`, min: 0, max: slider.stops.length - 1, step: 1 });
    output.id = `value-${name}`;
    output.htmlFor = input.id;
    input.addEventListener("input", () => change({ stops: { ...stateNow().stops, [name]: Number(input.value) } }));
    label.append(slider.label, input);
    const row = document.createElement("div");
    row.append(label, output);
    return row;
  }));
  const legend = $("switches").querySelector("legend");
  $("switches").replaceChildren(legend, ...Object.entries(preset.switches).map(([name, { label: text }]) => {
    const label = document.createElement("label"), input = document.createElement("input");
    Object.assign(input, { type: "checkbox", id: `switch-${name}` });
    input.addEventListener("change", () => change({ off: Object.keys(preset.switches).filter((other) => (other === name ? input.checked : stateNow().off.includes(other))) }));
    label.append(input, text);
    return label;
  }));
}

/** Set them to what the state says. */
export function layControls(preset, state) {
  for (const [name, slider] of Object.entries(preset.sliders)) {
    const input = $(`slider-${name}`), stop = state.stops[name];
    input.value = stop;
    const value = stopTold(slider, stop), off = silenced(state, preset).includes(name);
    input.disabled = off;
    input.setAttribute("aria-valuetext", off ? "switched off" : value);
    $(`value-${name}`).textContent = off ? "switched off" : `${value} (${stop === slider.start ? "as in A" : `A: ${stopShown(slider, slider.start)}`})`;
  }
  for (const name of Object.keys(preset.switches)) $(`switch-${name}`).checked = state.off.includes(name);
}

/** The number of a stop as it is shown: what has a unit in percent is kept in hundredths. */
export const stopShown = ({ stops, unit }, stop) => `${unit.startsWith("%") ? Number((100 * stops[stop]).toPrecision(6)) : stops[stop]}`;

/** A stop with its unit. */
export const stopTold = (slider, stop) => `${stopShown(slider, stop)}\u00a0${slider.unit}`.trim();

/** The sliders that do nothing, for what they set is switched off. */
export const silenced = ({ off }, preset) => off.flatMap((name) => preset.switches[name].silences);

/** What B changes, in words. */
export function changes({ stops, off }, preset) {
  const silent = silenced({ off }, preset);
  const told = Object.entries(preset.sliders).filter(([name, { start }]) => stops[name] !== start && !silent.includes(name))
    .map(([name, slider]) => `${slider.label}: ${stopTold(slider, stops[name])} instead of ${stopShown(slider, slider.start)}`);
  const without = off.map((name) => `without: ${preset.switches[name].label}`);
  const all = [...told, ...without];
  return all.length ? `B: ${all.join("; ")}.` : "B is as A: nothing has been changed.";
}
