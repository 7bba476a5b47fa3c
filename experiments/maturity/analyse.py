"""Margins of young and mature markets, forward-looking against static firms, on the same seeds.

    python experiments/maturity/analyse.py [seeds]

prints the table of the README: the mean Lerner index of the first and of the last year, its change, and the 95 %
interval of the change over seeds. Beside itself it writes `margins.json`, every seed and year, and `figure.svg`.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

import aimarket
from aimarket.report.style import COLOURS, DASHES, GREY, house_style, new_figure

HERE = Path(__file__).parent
FIRMS = ("anna", "bert", "carl")
MARKETS = ("locked_in", "contestable")
RULES = ("forward_looking", "static_best_response")
RIVALS_AS_GIVEN = [f"providers.{firm}.pricing.reaction_period=0" for firm in FIRMS]
# name: market, rule, further overrides
CASES: dict[str, tuple[str, str, list[str]]] = {
    "locked in, forward-looking": (MARKETS[0], RULES[0], []),
    "locked in, forward-looking, rivals as given": (MARKETS[0], RULES[0], RIVALS_AS_GIVEN),
    "locked in, static": (MARKETS[0], RULES[1], []),
    "contestable, forward-looking": (MARKETS[1], RULES[0], []),
    "contestable, static": (MARKETS[1], RULES[1], []),
}


def lerner_by_seed(market: str, rule: str, seeds: int, *overrides: str) -> np.ndarray:
    """Lerner index by seed and year, (seeds, years)."""
    rules = [f"pricing@providers.{firm}.pricing={rule}" for firm in FIRMS]
    rows = []
    for seed in range(1, seeds + 1):
        settings = aimarket.load([f"experiment=maturity/{market}", f"run.seed={seed}", *rules, *overrides])
        lerner = aimarket.simulate(settings).market["lerner"].to_numpy()
        rows.append(lerner.reshape(-1, settings.run.steps_per_year).mean(axis=1))
    return np.array(rows)


def interval(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over seeds, the first axis, and half the width of its 95 % interval."""
    width = stats.t.ppf(0.975, len(values) - 1) * values.std(axis=0, ddof=1) / np.sqrt(len(values))
    return values.mean(axis=0), width


def change(lerner: np.ndarray, since: int = 1) -> tuple[float, float]:
    """Mean change from a year, the first unless told, to the last, and half the width of its 95 % interval."""
    mean, width = interval(lerner[:, -1] - lerner[:, since - 1])
    return float(mean), float(width)


def table(found: Mapping[str, np.ndarray]) -> str:
    """The answer, one row a case, for Markdown."""
    rows = [
        "| market and rule | first year | last year | change | of it since the second year |",
        "| --- | --: | --: | --: | --: |",
    ]
    for case, lerner in found.items():
        first, last = (f"{lerner[:, year].mean():.3f}" for year in (0, -1))
        changes = [f"{mean:+.3f} ± {width:.3f}" for mean, width in (change(lerner), change(lerner, since=2))]
        rows.append(f"| {case} | {first} | {last} | {' | '.join(changes).replace('-', '−')} |")
    return "\n".join(rows) + "\n"


def draw(found: Mapping[str, np.ndarray]) -> Figure:
    """The Lerner index year by year, one line a case, with its 95 % interval over seeds."""
    figure = new_figure(7.0, 3.4)
    axes = figure.subplots()
    for index, (case, lerner) in enumerate(found.items()):
        mean, width = interval(lerner)
        years = np.arange(1, len(mean) + 1)
        axes.plot(years, mean, label=case, color=COLOURS[index], dashes=DASHES[index])
        axes.fill_between(years, mean - width, mean + width, color=COLOURS[index], alpha=0.2, linewidth=0)
    axes.set_xlabel("year")
    axes.set_ylabel("Lerner index (band: 95 % over seeds)")
    axes.set_ylim(bottom=0)
    axes.legend(loc="center", bbox_to_anchor=(0.5, 0.7), labelcolor=GREY)  # where no line is
    figure.tight_layout()
    return figure


def stored() -> dict[str, np.ndarray]:
    """The result that lies beside this file."""
    return {case: np.array(rows) for case, rows in json.loads((HERE / "margins.json").read_text()).items()}


def write(found: Mapping[str, np.ndarray]) -> None:
    """Put result and figure beside this file."""
    rounded = {case: np.round(lerner, 6).tolist() for case, lerner in found.items()}
    (HERE / "margins.json").write_text(json.dumps(rounded) + "\n", encoding="utf-8")
    with house_style():
        draw(found).savefig(HERE / "figure.svg", metadata={"Date": None, "Creator": None})


def main(seeds: int) -> None:
    found = {case: lerner_by_seed(market, rule, seeds, *more) for case, (market, rule, more) in CASES.items()}
    write(found)
    print(table(found), end="")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8)
