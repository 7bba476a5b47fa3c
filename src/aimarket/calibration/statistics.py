"""What a moment may be: numbers that recorded tables give, by name.

A year is counted from 1: year 1 is the first twelve months of a run. Rows of one step are added up, so a share of
several providers is the sum of theirs.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from aimarket.schema import TABLES

if TYPE_CHECKING:
    import pandas as pd

Tables = Mapping[str, "pd.DataFrame"]
Statistic = Callable[..., float]
_OWNERS = {"providers": "provider", "statements": "provider", "offers": "provider", "segments": "segment"}


def average(tables: Tables, table: str, column: str, years: Sequence[int], of: Sequence[str] = ()) -> float:
    """Mean of a column over the steps of the years from the first to the last of `years`.

    of      : providers or segments to add up; none are all
    returns : nan where a step has no value
    """
    return float(_by_step(tables, table, column, years, of).mean())


def growth(tables: Tables, table: str, column: str, years: Sequence[int], of: Sequence[str] = ()) -> float:
    """Log growth a year from the mean of the first of `years` to the mean of the last; nan where one is not above 0."""
    first, last = years
    before, after = (average(tables, table, column, (year, year), of) for year in years)
    return math.log(after / before) / (last - first) if before > 0 and after > 0 else math.nan


def ratio(tables: Tables, table: str, column: str, over: str, years: Sequence[int], of: Sequence[str] = ()) -> float:
    """Sum of a column over the sum of the column `over`, in the years from the first to the last of `years`."""
    above, below = (float(_by_step(tables, table, name, years, of).sum()) for name in (column, over))
    return above / below if below else math.nan


STATISTICS: dict[str, Statistic] = {statistic.__name__: statistic for statistic in (average, growth, ratio)}


def owner(table: str) -> str:
    """The column that names whose row it is, "" in a table of the whole market."""
    return _OWNERS.get(table, "")


def numbers(table: str) -> list[str]:
    """Columns of a table that can be averaged."""
    return [column.name for column in TABLES[table] if column.kind == "float64" and column.name != "year"]


def _by_step(tables: Tables, table: str, column: str, years: Sequence[int], of: Sequence[str]) -> NDArray[np.float64]:
    """Sum of the column over owners, one number for each replication and step of the years."""
    rows = tables[table]
    if of:
        rows = rows[rows[owner(table)].isin(list(of))]
    year = np.ceil(rows["year"] - 1e-9)  # a step ends when the year does
    rows = rows[(year >= years[0]) & (year <= years[-1])]
    return rows.groupby(["replication", "step"])[column].sum(min_count=1).to_numpy(dtype=np.float64)
