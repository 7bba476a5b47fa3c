"""Run a limiting market and keep what it measured, step by step."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aimarket import Market, load


@dataclass
class Limit:
    """A market that has been run, with its series."""

    market: Market
    price: NDArray[np.float64]  # (T, J)
    shares: NDArray[np.float64]  # (T, J) of adopted users
    outside: NDArray[np.float64]  # (T,)
    churn: NDArray[np.float64]  # (T,) a step
    adopted: NDArray[np.float64]  # (T,) of potential users


def run_limit(experiment: str, *overrides: str) -> Limit:
    settings = load([f"experiment=limit/{experiment}", *overrides])
    market = Market(settings)
    rows = []
    for _ in range(settings.run.steps):
        market.step()
        m, o = market.tables["market"], market.tables["offers"]
        adopted = m["adopted_users"] / m["potential_users"]
        rows.append((o["price"], o["user_share"], m["outside_share"], m["churn"] * market.clock.months, adopted))
    return Limit(market, *(np.array(column) for column in zip(*rows, strict=True)))


def standard_errors(series: NDArray[np.float64], expected: float | NDArray[np.float64], batches: int = 10) -> float:
    """Standard errors by which the mean of a series misses what is expected; batch means allow for correlation."""
    means = np.array([batch.mean(axis=0) for batch in np.array_split(series, batches)])
    error = means.std(axis=0, ddof=1) / np.sqrt(batches)
    return float(np.max(np.abs(means.mean(axis=0) - expected) / error))
