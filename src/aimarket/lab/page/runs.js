// Markets from the server. Each is asked for once; the server itself runs ahead what may be asked for next.
const kept = new Map();
const later = new Set(); // of those not yet there: asked for among many
const MOST_KEPT = 400;

/** The run of a query, as the server tells it; rejects with what the server says is wrong. One of `many` has time. */
export function run(query, many = false) {
  const key = query.toString();
  if (!kept.has(key) || (!many && later.delete(key))) { // what is now waited for alone is asked for again, and comes first
    if (kept.size >= MOST_KEPT) kept.delete(kept.keys().next().value);
    if (many) later.add(key);
    kept.set(key, ask(many ? `${key}&many=1` : key).finally(() => later.delete(key)));
    kept.get(key).catch(() => kept.delete(key));
  }
  return kept.get(key);
}

async function ask(query, patience = 5) {
  const response = await fetch(`api/run?${query}`);
  if (response.status === 503 && patience > 0) {
    await new Promise((resolve) => setTimeout(resolve, 2000));
    return ask(query, patience - 1);
  }
  const told = await response.json();
  if (!response.ok) throw new Error(told.error);
  return told;
}

let looked = "";
/** Tell the server which market is looked at, so that it runs what may be asked for next. */
export function lookAt(query) {
  if (`${query}` === looked) return;
  looked = `${query}`;
  fetch(`api/run?${query}&ahead=1`).catch(() => {}); // a server that is gone is told of where a market is asked for
}

/** Runs of many queries, four at a time; `each` is called with the runs so far. */
export async function runAll(queries, each, goOn = () => true) {
  const runs = new Array(queries.length).fill(null);
  let next = 0;
  const worker = async () => {
    while (next < queries.length && goOn()) {
      const place = next++;
      runs[place] = await run(queries[place], true);
      if (goOn()) each(runs);
    }
  };
  await Promise.all([worker(), worker(), worker(), worker()]);
  return runs;
}
