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
    const value = `${slider.stops[stop]} ${slider.unit}`.trim();
    input.setAttribute("aria-valuetext", value);
    $(`value-${name}`).textContent = stop === slider.start ? `${value} (as in A)` : `${value} (A: ${slider.stops[slider.start]})`;
  }
  for (const name of Object.keys(preset.switches)) $(`switch-${name}`).checked = state.off.includes(name);
}
