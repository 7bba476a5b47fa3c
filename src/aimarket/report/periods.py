"""From recorded frames to one row a simulation: what the first and the last year were like.

A simulation is one replication of one run. A year is as many steps as the frame says; a run shorter than two years is
halved instead, so that the two periods never overlap unless there is a single step.
"""

from __future__ import annotations  # pandas is named, and imported by whoever brings a frame

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

from aimarket.schema import TABLES

KEYS = ["run_id", "replication"]
WEIGHTS = {
    "price": "tokens_served",
    "unit_cost": "tokens_served",
    "marginal_cost": "tokens_served",
    "lerner": "spend",
}
_MEASURES = {column.name for column in TABLES["market"] if column.kind == "float64"} - {"year", *WEIGHTS}


@dataclass(frozen=True)
class Periods:
    """Means over the first and the last year, one row a simulation (run_id, replication), one column a measure.

    span : years between the middles of the two periods; nought if the run is a single step
    word : what a period is: "year", or "half" or "step" where the run is shorter than two years
    """

    first: pd.DataFrame
    last: pd.DataFrame
    span: float
    word: str

    def of(self, run_ids: Collection[str]) -> Periods:
        """Return the same for some of the runs."""
        chosen = self.first.index.get_level_values("run_id").isin(run_ids)
        return Periods(self.first[chosen], self.last[chosen], self.span, self.word)

    def ratio(self, measure: str) -> pd.Series:
        """Divide the last year by the first; missing where either is not positive."""
        first, last = self.first[measure], self.last[measure]
        return (last / first).where((first > 0) & (last > 0))

    @property
    def annual(self) -> bool:
        """Whether the periods lie far enough apart for a rate a year to be more than an extrapolation."""
        return self.span > 0.75

    def change(self, measure: str) -> pd.Series:
        """Relative change from the first to the last year: a year where `annual`, in all otherwise."""
        years = self.last["year"] - self.first["year"]
        ratio = self.ratio(measure)
        return ratio ** (1 / years) - 1 if self.annual else ratio - 1


def clean(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the frame with plain labels and with infinities as missing; an empty frame is an error."""
    if frame.empty:
        raise ValueError("nothing to report: the frame has no rows")
    labels = [name for name in ("run_id", "provider", "archetype") if name in frame]
    return frame.astype(dict.fromkeys(labels, "str")).replace([np.inf, -np.inf], np.nan)


def steps_per_year(frame: pd.DataFrame) -> int:
    """Read the number of steps in a year off the frame's own calendar."""
    return max(1, round(float((frame["step"] / frame["year"]).median())))


def period_masks(frame: pd.DataFrame) -> tuple[pd.Series, pd.Series]:
    """Say for every row whether it lies in the first and whether it lies in the last year of its simulation."""
    steps = frame.groupby(KEYS)["step"]
    start, end = steps.transform("min"), steps.transform("max")
    length = ((end - start + 1) // 2).clip(1, steps_per_year(frame))
    return frame["step"] < start + length, frame["step"] > end - length


def _weighted_mean(rows: pd.DataFrame, measure: str, weight: str) -> pd.Series:
    known = rows[measure].notna() & (rows[weight] > 0)
    weights = rows[weight].where(known, 0.0)
    keys = [rows[key] for key in KEYS]
    total = weights.groupby(keys).sum()
    return (rows[measure].where(known, 0.0) * weights).groupby(keys).sum() / total.where(total > 0)


def _means(rows: pd.DataFrame) -> pd.DataFrame:
    means = rows.groupby(KEYS)[[name for name in rows if name in _MEASURES]].mean()
    for measure, weight in WEIGHTS.items():
        means[measure] = _weighted_mean(rows, measure, weight)
    means["year"] = _weighted_mean(rows, "year", "tokens_served")
    return means


def market_periods(market: pd.DataFrame) -> Periods:
    """Means of the market's measures: price and costs weighted by tokens, the Lerner index by revenue, others plain.

    So price × tokens = spend and Lerner = 1 − marginal cost / price hold for the year as they do for the step.
    """
    first, last = period_masks(market)
    middle = [market[mask].groupby(KEYS)["year"].mean() for mask in (first, last)]
    longest = int(market[last].groupby(KEYS).size().max())
    word = "step" if longest == 1 else "half" if longest < steps_per_year(market) else "year"
    return Periods(_means(market[first]), _means(market[last]), float((middle[1] - middle[0]).median()), word)


def share_paths(providers: pd.DataFrame) -> pd.DataFrame:
    """Shares of tokens served: a row for every simulation and step, a column for every provider.

    Whoever is not in the market has a share of 0; a step in which nobody was served is missing.
    """
    wide = providers.set_index([*KEYS, "step", "year", "provider"])["share"].unstack("provider")
    return wide.fillna(0.0).where(wide.sum(axis=1) > 0).sort_index()


def share_periods(shares: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Mean shares in the first and in the last year: a row for every simulation, a column for every provider."""
    rows = shares.index.to_frame(index=False)
    first, last = (shares[mask.to_numpy()].groupby(level=KEYS).mean() for mask in period_masks(rows))
    return first, last


def paths(frame: pd.DataFrame, measure: str) -> pd.DataFrame:
    """One measure over time: a row for every year date, a column for every simulation."""
    return frame.set_index(["year", *KEYS])[measure].unstack(KEYS).sort_index()
