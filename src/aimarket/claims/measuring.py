"""A run as statistics see it, the means over years they are made of, and the list they enter.

The first and the last year are means over twelve months: single months carry the luck of who looked around in them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

TABLES = ("market", "providers")
YEAR = 12  # months


@dataclass(frozen=True)
class Run:
    """The recorded tables of one run, in the order of steps; steps are months."""

    market: pd.DataFrame
    providers: pd.DataFrame


@dataclass(frozen=True)
class Statistic:
    """One number of a run."""

    measure: Callable[[Run], float]
    unit: str
    meaning: str

    @property
    def plain_unit(self) -> str:
        """The unit as it follows a number, with a space behind it; nothing for a pure number."""
        words = self.unit.removeprefix("1").removeprefix(", ")
        return f"{words} " if words else ""


STATISTICS: dict[str, Statistic] = {}


def statistic(unit: str) -> Callable[[Callable[[Run], float]], Callable[[Run], float]]:
    def register(measure: Callable[[Run], float]) -> Callable[[Run], float]:
        meaning = (measure.__doc__ or "").partition("\n")[0].rstrip(".")
        STATISTICS[measure.__name__] = Statistic(measure, unit, meaning)
        return measure

    return register


def window(run: Run, column: str, first: int, last: int) -> float:
    """Mean of a column of the market over months first to last, from 1; from the end if negative, as in slices."""
    values = run.market[column].to_numpy()
    stop = len(values) + last + 1 if last < 0 else last
    start = len(values) + first if first < 0 else first - 1
    return float(np.mean(values[start:stop]))


def early(run: Run, column: str, years: int = 1) -> float:
    """Mean over the first years."""
    return window(run, column, 1, YEAR * years)


def late(run: Run, column: str, years: int = 1) -> float:
    """Mean over the last years."""
    return window(run, column, -YEAR * years, -1)


def span(run: Run) -> float:
    """Years from the middle of the first to the middle of the last year."""
    return len(run.market) / YEAR - 1


def growth(run: Run, column: str) -> float:
    """Growth of a positive column from the first to the last year, log points a year."""
    return float(np.log(late(run, column) / early(run, column))) / span(run)
