// Screen 1: the first year of the market as offered, and the guess beside it.
import { lineChart, rangeOf } from "./chart.js";
import { MEASURES, scaled, titled, told } from "./measures.js";

const SEEN = 12; // months that are seen before the guess; and of the year that it is about

/** Draw what is seen, and the guess as a level across. */
export function drawGuess({ preset, a, guess }) {
  const { column, low, high, at } = preset.guess;
  const values = a.market[column].map((value) => scaled(column, value));
  lineChart(document.getElementById("start"), {
    title: `${titled(column)}: the first year`,
    sentence: `${MEASURES[column].label} in the first ${SEEN} months; after month ${SEEN} it is ${told(column, a.market[column][SEEN - 1])}. The rest is hidden until you have guessed.`,
    lines: [{ label: "?", colour: "#005a9c", dash: "", values }], months: preset.months, upTo: SEEN,
    range: rangeOf([low, high], values.slice(0, SEEN)), mark: { value: guess, label: "your guess", from: at === "highest" ? SEEN : preset.months - SEEN + 1 },
  });
}
