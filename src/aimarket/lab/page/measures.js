// What is shown of a market: each column with its name, its unit, and how its numbers are written.
const percent = { unit: "%", factor: 100, digits: 1 };

export const MEASURES = {
  lerner: { label: "Margin on price", ...percent },
  price: { label: "Price of a million tokens", unit: "USD", factor: 1, significant: 3 },
  leader_share: { label: "Share of the largest firm", ...percent },
  effective_providers: { label: "Effective number of firms", unit: "", factor: 1, digits: 2 },
  spend: { label: "What users spend", unit: "million USD a month", factor: 1e-6, significant: 3 },
  tokens_served: { label: "Tokens", unit: "billion a month", factor: 1e-3, significant: 3 },
  tokens_per_task: { label: "Tokens a task", unit: "thousand tokens", factor: 1e3, significant: 3 },
  cost_per_task: { label: "What a task costs", unit: "cents", factor: 100, significant: 3 },
  consumer_surplus: { label: "Consumer surplus", unit: "million USD a month", factor: 1e-6, significant: 3 },
  marginal_cost: { label: "Cost of a million tokens", unit: "USD", factor: 1, significant: 3 },
  utilisation: { label: "Use of GPUs", ...percent },
  unserved_share: { label: "Tokens turned away", ...percent },
  churn: { label: "Users who switch in a month", ...percent },
  adopted_users: { label: "Users", unit: "millions", factor: 1e-6, significant: 3 },
};

export const TABLE = ["leader_share", "effective_providers", "price", "lerner"];

/** A value of a column in its unit on the page; null stays null. */
export const scaled = (name, value) => (value === null ? null : value * MEASURES[name].factor);

/** A number that is already in its unit, as text without the unit. */
export function written(name, value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const { digits, significant } = MEASURES[name];
  const options = significant
    ? { minimumSignificantDigits: significant, maximumSignificantDigits: significant }
    : { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString("en-GB", options);
}

/** The same in no more than four figures, for a place on a map. */
export function briefly(name, value) {
  const digits = MEASURES[name].digits ?? (Math.abs(value) < 10 ? 2 : Math.abs(value) < 100 ? 1 : 0);
  return value.toLocaleString("en-GB", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** Where a value stands between the least and the most, from 0 to 1: amounts by ratio, percentages by difference. */
export function between(name, value, low, high) {
  const at = MEASURES[name].significant && low > 0 ? Math.log : (number) => number;
  return high > low ? (at(value) - at(low)) / (at(high) - at(low)) : 0;
}

/** A value of a column as text with its unit. */
export const told = (name, value) => `${written(name, scaled(name, value))}\u00a0${MEASURES[name].unit}`.trim();

/** What a measure is called, with its unit. */
export const titled = (name, [before, after] = [" (", ")"]) =>
  MEASURES[name].label + (MEASURES[name].unit && before + MEASURES[name].unit + after);

const mean = (values) => {
  const there = values.filter((value) => value !== null);
  return there.length ? there.reduce((sum, value) => sum + value, 0) / there.length : null;
};

/** What a market is judged by: mean of the last year, or the highest value. */
export function outcome(run, { column, at }) {
  const values = run.market[column];
  return at === "highest" ? Math.max(...values.filter((value) => value !== null)) : mean(values.slice(-12));
}

/** The firm with the largest share in a month, counted from 1. */
export function leader(run, month) {
  const shares = Object.entries(run.providers).map(([name, columns]) => [name, columns.share[month - 1] ?? -1]);
  return shares.reduce((best, next) => (next[1] > best[1] ? next : best))[0];
}
