"""The first and the last year of a run, reckoned from columns: loading pandas would take longer than many a run.

The years and the means are those of `periods`, which has frames of many runs.
"""

from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from aimarket.report.periods import WEIGHTS

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Columns(Protocol):
    """Whatever gives the columns of a recorded table by name: an Arrow table, a frame, a dictionary of arrays."""

    def __getitem__(self, name: str, /) -> ArrayLike: ...


class Years:
    """The n rows of a table of one run: which replication each belongs to, and whether to its first or last year.

    raises : ValueError if there are no rows
    """

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.step, self.year = np.asarray(columns["step"], int), np.asarray(columns["year"], float)
        if not len(self.step):
            raise ValueError("nothing to report: the table has no rows")
        found, self.replication = np.unique(np.asarray(columns["replication"]), return_inverse=True)
        self.replications = len(found)

    @cached_property
    def rows(self) -> tuple[Flags, Flags]:
        """(n,) rows of the first year, (n,) of the last; of the halves, where a run is shorter than two years."""
        start, end = np.full(self.replications, self.step.max()), np.zeros(self.replications, int)
        np.minimum.at(start, self.replication, self.step)
        np.maximum.at(end, self.replication, self.step)
        length = np.clip((end - start + 1) // 2, 1, self._steps_per_year)
        return self.step < (start + length)[self.replication], self.step > (end - length)[self.replication]

    @property
    def word(self) -> str:
        """What a period is: "year", or "half" or "step" where the run is shorter than two years."""
        longest = int(np.bincount(self.replication, self.rows[1]).max())
        return "step" if longest == 1 else "half" if longest < self._steps_per_year else "year"

    def means(self, measure: str) -> tuple[Floats, Floats]:
        """What a column was on average in the first and in the last year, (replications,) each; nan if never known."""
        values = np.asarray(self._columns[measure], float)
        weight = np.asarray(self._columns[WEIGHTS[measure]], float) if measure in WEIGHTS else np.ones(len(values))
        first, last = (self._mean(values, weight, rows & np.isfinite(values) & (weight > 0)) for rows in self.rows)
        return first, last

    @cached_property
    def _steps_per_year(self) -> int:
        return max(1, round(float(np.median(self.step / self.year))))

    def _mean(self, values: Floats, weight: Floats, rows: Flags) -> Floats:
        total, weights = (
            np.bincount(self.replication[rows], each[rows], self.replications) for each in (values * weight, weight)
        )
        return np.divide(total, weights, out=np.full(self.replications, np.nan), where=weights > 0)


class Shares(Years):
    """Shares of tokens served of the P providers of a run, and who left; from the table `providers`."""

    def __init__(self, columns: Columns) -> None:
        super().__init__(columns)
        provider = [str(name) for name in np.asarray(columns["provider"])]
        self.names = sorted(set(provider))
        place = {name: i for i, name in enumerate(self.names)}
        self._cell = self.replication * len(self.names) + np.array([place[name] for name in provider])

    @cached_property
    def of_years(self) -> tuple[Floats, Floats]:
        """Mean shares in the first and in the last year, (replications, P) each.

        Who is not in the market has a share of 0; a step in which nobody was served does not count.
        """
        share = np.nan_to_num(np.asarray(self._columns["share"], float), posinf=0.0, neginf=0.0)
        moments, moment = np.unique(self.replication * (self.step.max() + 1) + self.step, return_inverse=True)
        served = np.bincount(moment, share, len(moments)) > 0
        one_a_moment = np.unique(moment, return_index=True)[1]
        first, last = (self._mean_share(share, rows & served[moment], one_a_moment) for rows in self.rows)
        return first, last

    @cached_property
    def exit_year(self) -> Floats:
        """(replications, P) year in which each was last in business; nan for who is to the end, or never was."""
        shape = self.replications, len(self.names)
        active = np.asarray(self._columns["active"], bool)
        seen, end = np.full(shape, -np.inf), np.full((self.replications, 1), -np.inf)
        np.maximum.at(seen.reshape(-1), self._cell[active], self.year[active])
        np.maximum.at(end[:, 0], self.replication, self.year)
        return np.where(np.isfinite(seen) & (seen < end), seen, np.nan)

    def _mean_share(self, share: Floats, rows: Flags, one_a_moment: NDArray[np.intp]) -> Floats:
        shape = self.replications, len(self.names)
        total = np.bincount(self._cell[rows], share[rows], shape[0] * shape[1]).reshape(shape)
        steps = np.bincount(self.replication[one_a_moment], rows[one_a_moment], self.replications)[:, None]
        return np.divide(total, steps, out=np.full(shape, np.nan), where=steps > 0)
