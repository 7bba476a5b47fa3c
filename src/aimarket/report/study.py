"""What a report starts from: the frames of a study, who was simulated where in the design, and with which seed.

A simulation is one replication of one run. A point is a combination of swept settings other than the seed; simulations
of one seed and replication share their random numbers across points, and are a pair.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import inf
from numbers import Real
from typing import Any, NamedTuple

import pandas as pd

from aimarket.report.measures import Measure, measure
from aimarket.report.periods import KEYS, Periods, clean, market_periods
from aimarket.schema import TABLES

SEED = "run.seed"
NO_POINTS = ("study", "outputs", "run.seed", "run.replications")  # more of the same, not another market
_POINT = "point"  # column with the name of each run's point
Read = Callable[[str, Sequence[str]], pd.DataFrame]


class NotShownError(Exception):
    """A kind of figure that these recordings cannot fill; the message says what it would take."""


class Analysis(NamedTuple):
    """The design for sensitivity that a study follows.

    kind    : "morris" or "sobol"
    points  : how many rows it has
    effects : what each parameter does to a statistic by run id, see `designs.analyse`; raises ResultsError
    """

    kind: str
    points: int
    effects: Callable[[pd.Series], pd.DataFrame]


class Study:
    """The frames of a study as its figures want them.

    market, providers : recorded tables of one run or more; columns beyond the schema are swept settings
    read              : gives some columns of another table, an empty frame if it was not recorded
    outcome           : the column of `market` that answers the question, taken in the last year
    labels            : what to call the point of each run, by run id; None: by its swept settings
    analysis          : the design that its points follow; None if they follow none, or none for sensitivity
    raises            : ValueError if nothing was recorded
    """

    def __init__(
        self,
        market: pd.DataFrame,
        providers: pd.DataFrame,
        read: Read | None = None,
        outcome: str = "lerner",
        labels: Mapping[str, str] | None = None,
        analysis: Analysis | None = None,
    ) -> None:
        self.market, self.providers = clean(market), clean(providers)
        self._read, self.analysis = read, analysis
        self.outcome: Measure = measure(outcome)
        self.swept = [name for name in swept(self.market) if name not in NO_POINTS]
        if labels is not None and self.swept:
            self.market[_POINT] = self.market["run_id"].map(labels)

    def table(self, name: str, columns: Sequence[str]) -> pd.DataFrame:
        """Some columns of another table beside the keys; NotShownError if it was not recorded."""
        frame = self._read(name, columns) if self._read else pd.DataFrame()
        if frame.empty:
            raise NotShownError(f"the table {name} was not recorded (record.tables)")
        return clean(frame)

    @cached_property
    def periods(self) -> Periods:
        """Means of the first and the last year, one row a simulation."""
        return market_periods(self.market)

    @cached_property
    def design(self) -> pd.DataFrame:
        """One row a simulation (run_id, replication): its swept settings, and its `seed`, missing if all have one."""
        rows = self.market.drop_duplicates(KEYS).set_index(KEYS).sort_index()
        return rows[self.swept].assign(seed=rows.get(SEED, 0))

    @cached_property
    def outcomes(self) -> pd.Series:
        """The outcome in the last year, one value a simulation; simulations without one are left out."""
        return self.periods.last[self.outcome.column].dropna().rename(self.outcome.name)

    @cached_property
    def by_point(self) -> pd.DataFrame:
        """The outcome by pair: a row for each seed and replication, a column for each point, in the points' order."""
        point = {run: label for label, runs in self.points.items() for run in runs}
        rows = self.outcomes.rename("outcome").reset_index()
        rows["point"] = rows["run_id"].map(point)
        rows["seed"] = self.design.loc[self.outcomes.index, "seed"].to_numpy()
        wide = rows.pivot_table(index=["seed", "replication"], columns="point", values="outcome")
        return wide[[label for label in self.points if label in wide]]

    @cached_property
    def points(self) -> dict[str, list[str]]:
        """The run ids of each point, by what was swept there: "base = 2.0, review = 0.5"."""
        return points(self.market)

    def simulations(self) -> str:
        """Say how many simulations stand behind a figure: "24 simulations of 4 points"."""
        many, of = len(self.design), len(self.points)
        if many == 1:
            return "one simulation"
        return f"{many:,} simulations" + (f" of {of:,} points" if of > 1 else "")


def swept(frame: pd.DataFrame) -> list[str]:
    """Names of the swept settings: columns beyond the schema whose values differ."""
    recorded = {column.name for columns in TABLES.values() for column in columns} | {_POINT}
    runs = frame.drop_duplicates("run_id")
    return [str(name) for name in frame if name not in recorded and runs[name].astype(str).nunique(dropna=False) > 1]


def short_names(names: Sequence[str]) -> dict[str, str]:
    """The last words of dotted names, as many as it takes to tell them apart."""
    parts = {name: name.split(".") for name in names}
    for words in range(1, max((len(part) for part in parts.values()), default=0) + 1):
        short = {name: ".".join(part[-words:]) for name, part in parts.items()}
        if len(set(short.values())) == len(short):
            return short
    return {name: name for name in names}


def points(frame: pd.DataFrame) -> dict[str, list[str]]:
    """The run ids of each point by its name, in the order of the settings; runs that differ in nothing by their ids.

    A study that differs in seeds alone is one point, named "".
    """
    runs = frame.drop_duplicates("run_id").set_index("run_id").sort_index()
    every = swept(frame)
    names = [name for name in every if name not in NO_POINTS]
    if not names:
        alike = len(runs) == 1 or bool(every)
        return {"": list(map(str, runs.index))} if alike else {f"run {run[:8]}": [str(run)] for run in runs.index}
    words = short_names(names)
    found: dict[tuple[object, ...], list[str]] = {}
    for run, row in zip(runs.index, runs[names].itertuples(index=False), strict=True):
        found.setdefault(tuple(map(written, row)), []).append(str(run))
    values = {key: [order(value) for value in runs.loc[ids[0], names]] for key, ids in found.items()}
    said = {key: ", ".join(f"{words[name]} = {value}" for name, value in zip(names, key, strict=True)) for key in found}
    if _POINT in runs:
        given = {key: str(runs.loc[ids[0], _POINT]) for key, ids in found.items()}
        if all(given.values()) and len(set(given.values())) == len(given):
            said = given
    return {said[key]: found[key] for key in sorted(found, key=lambda key: values[key])}


def written(value: Any) -> str:
    """Write the value of a setting, numbers without noise in the last digits."""
    if pd.isna(value):  # a setting that some runs do not have
        return "none"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def order(value: Any) -> tuple[float, str]:
    """Sort what is missing first, then numbers by size, then everything else by name."""
    if pd.isna(value):
        return (-inf, "")
    return (float(value), "") if isinstance(value, Real) else (inf, str(value))
