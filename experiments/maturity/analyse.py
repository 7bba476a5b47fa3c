"""Margins of young and mature markets, forward-looking against static firms, on the same seeds.

    python experiments/maturity/analyse.py [seeds]

prints one line a market and rule: the mean Lerner index of the first and of the last year, its change, and the 95 %
interval of the change over seeds.
"""

import sys
from collections.abc import Iterator

import numpy as np
from scipy import stats

import aimarket

FIRMS = ("anna", "bert", "carl")
MARKETS = ("locked_in", "contestable")
RULES = ("forward_looking", "static_best_response")


def lerner_by_seed(market: str, rule: str, seeds: int, *overrides: str) -> np.ndarray:
    """Lerner index by seed and year, (seeds, years)."""
    rules = [f"pricing@providers.{firm}.pricing={rule}" for firm in FIRMS]
    rows = []
    for seed in range(1, seeds + 1):
        settings = aimarket.load([f"experiment=maturity/{market}", f"run.seed={seed}", *rules, *overrides])
        lerner = aimarket.simulate(settings).market["lerner"].to_numpy()
        rows.append(lerner.reshape(-1, settings.run.steps_per_year).mean(axis=1))
    return np.array(rows)


def change(lerner: np.ndarray) -> tuple[float, float]:
    """Mean change from the first to the last year, and half the width of its 95 % interval."""
    gap = lerner[:, -1] - lerner[:, 0]
    width = stats.t.ppf(0.975, len(gap) - 1) * gap.std(ddof=1) / np.sqrt(len(gap))
    return float(gap.mean()), float(width)


def lines(seeds: int) -> Iterator[str]:
    for market in MARKETS:
        for rule in RULES:
            lerner = lerner_by_seed(market, rule, seeds)
            mean, width = change(lerner)
            years = f"first year {lerner[:, 0].mean():.3f}, last {lerner[:, -1].mean():.3f}"
            yield f"{market:12} {rule:21} Lerner index: {years}, change {mean:+.3f} ± {width:.3f}"


if __name__ == "__main__":
    for line in lines(int(sys.argv[1]) if len(sys.argv) > 1 else 8):
        print(line, flush=True)
